"""Pages of people: sign-in, passwords, the Users tab, groups."""

from apono_portal.users.views.sessions import locked_out, sign_out

__all__ = ["locked_out", "sign_out"]
