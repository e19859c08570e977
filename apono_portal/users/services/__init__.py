"""Every write to users, groups and sign-in."""

from apono_portal.users.services.devices import (
    end_device,
    end_device_of_user,
    end_devices_of_user,
    end_other_devices,
)
from apono_portal.users.services.groups import (
    add_group_members,
    change_group,
    create_group,
    group_digest,
    group_name_digest,
    remove_group_member,
    rename_group,
)
from apono_portal.users.services.mfa_reset import reset_mfa_of_user
from apono_portal.users.services.passwords import (
    change_password,
    invite_user,
    request_reset_link,
    set_password,
)
from apono_portal.users.services.reminders import send_mfa_reminders
from apono_portal.users.services.sign_in import (
    record_break_glass_sign_in,
    record_failed_sign_in,
    record_lockout,
    record_sign_in,
    record_sign_out,
)
from apono_portal.users.services.users import (
    change_user,
    change_user_from_directory,
    create_user,
    create_user_from_directory,
    deactivate_user,
    reactivate_user,
    user_digest,
)

__all__ = [
    "add_group_members",
    "change_group",
    "change_password",
    "change_user",
    "change_user_from_directory",
    "create_group",
    "create_user",
    "create_user_from_directory",
    "deactivate_user",
    "end_device",
    "end_device_of_user",
    "end_devices_of_user",
    "end_other_devices",
    "group_digest",
    "group_name_digest",
    "invite_user",
    "reactivate_user",
    "record_break_glass_sign_in",
    "record_failed_sign_in",
    "record_lockout",
    "record_sign_in",
    "record_sign_out",
    "remove_group_member",
    "rename_group",
    "request_reset_link",
    "reset_mfa_of_user",
    "send_mfa_reminders",
    "set_password",
    "user_digest",
]
