"""Every write about people, their groups and their sign-in."""

from apono_portal.users.services.groups import change_group, create_group
from apono_portal.users.services.passwords import change_password, invite_user, set_password
from apono_portal.users.services.sessions import (
    record_failed_sign_in,
    record_lock,
    record_sign_in,
    record_sign_out,
)

__all__ = [
    "change_group",
    "change_password",
    "create_group",
    "invite_user",
    "record_failed_sign_in",
    "record_lock",
    "record_sign_in",
    "record_sign_out",
    "set_password",
]
