"""Pages for sign-in, passwords, users and groups."""

from apono_portal.users.views.sign_in import locked_out, sign_out

__all__ = ["locked_out", "sign_out"]
