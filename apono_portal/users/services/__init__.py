"""Every write about people, their groups and their sign-in."""

from apono_portal.users.services.groups import change_group, create_group
from apono_portal.users.services.mfa_reset import reset_mfa_of_user
from apono_portal.users.services.passwords import change_password, invite_user, set_password
from apono_portal.users.services.people import (
    change_user,
    create_user,
    deactivate_user,
    reactivate_user,
)
from apono_portal.users.services.reminders import remind_of_mfa
from apono_portal.users.services.sessions import (
    record_failed_sign_in,
    record_lock,
    record_sign_in,
    record_sign_out,
)

__all__ = [
    "change_group",
    "change_password",
    "change_user",
    "create_group",
    "create_user",
    "deactivate_user",
    "invite_user",
    "reactivate_user",
    "record_failed_sign_in",
    "record_lock",
    "record_sign_in",
    "record_sign_out",
    "remind_of_mfa",
    "reset_mfa_of_user",
    "set_password",
]
