"""Pages for sign-in, passwords, users and groups."""

from apono_portal.users.views.sign_in import sign_out

__all__ = ["sign_out"]
