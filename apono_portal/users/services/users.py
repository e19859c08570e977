"""Adding, changing, deactivating and reactivating users. There is always an active admin."""

from collections.abc import Iterable
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction

from accessflows.dual_control.actions import Confirmation, require_confirmation
from accessflows.permissions import require_admin
from apono_portal.core.web.client import SYSTEM, ClientInfo
from apono_portal.core.web.seen_state import CHANGED_MEANWHILE, digest_of
from apono_portal.sso.enforcement import is_break_glass_needed
from apono_portal.users import protection
from apono_portal.users.exceptions import UserError
from apono_portal.users.models import DeactivatedBy, Role, User
from apono_portal.users.ownership import directory_of, with_local_groups
from audit.events import EventName
from audit.services import SYSTEM_LABEL, Metadata, record
from mfa.verification.locking import advance_epoch, lock_state, lock_states
from mfa.verification.window import Window
from requests_app.grants.revocation import revoke_all_access_of

EMAIL_TAKEN = "A user with this email already exists."
BREAK_GLASS = "This is the break-glass admin. Choose another one under Single Sign-On first."
SERVICE_ADMIN = "A service account cannot be an admin."
LAST_ADMIN = "This is the last active admin. Make another user an admin first."
GIVEN_IN_PORTAL = "Dual control is on: the admin role is given in the portal only."


def create_user(
    *,
    actor: User,
    window: Window | None,
    email: str,
    name: str,
    role: str,
    groups: Iterable[Group],
    client_info: ClientInfo,
    is_service: bool = False,
    confirmation: Confirmation | None = None,
) -> User:
    """Add a user, who cannot sign in before setting a password (`invite_user`), or a service account.

    Raises ConfirmationRequired for an admin.
    """
    _check_role(role, is_service=is_service)
    groups = list(groups)
    try:
        with transaction.atomic():
            require_admin(actor=actor, window=window)
            confirmed = require_confirmation(
                confirmation,
                weakenings=protection.admin_role_given(name, "", role),
                describe=partial(protection.creation_of, email, name, role, groups),
            )
            user = User.objects.create_user(
                email=email, name=name, role=role, is_service=is_service
            )
            user.groups.set(with_local_groups(user, groups))
            record(
                event=EventName.USER_CREATE,
                actor=actor,
                target=user,
                client_info=client_info,
                metadata={
                    "role": role,
                    "groups": _names(groups),
                    "service": is_service,
                    **confirmed,
                },
            )
    except IntegrityError:
        raise UserError(EMAIL_TAKEN, field="email") from None
    return user


def change_user(
    *,
    actor: User,
    window: Window | None,
    user: User,
    name: str,
    role: str,
    groups: Iterable[Group],
    seen: str,
    client_info: ClientInfo,
    confirmation: Confirmation | None = None,
) -> User:
    """Save a user's name, role and groups, effective with the user's next request.

    Another role ends all sessions and voids verifications: no window survives a change of role.
    ``seen`` is `user_digest` of what was edited. Raises ConfirmationRequired for a new admin.
    """
    groups = list(groups)
    with transaction.atomic():
        lock_states(actor.pk, user.pk)
        require_admin(actor=actor, window=window)
        user = _lock(user, leaves_admins=role != Role.ADMIN)
        _check_role(role, is_service=user.is_service)
        if user_digest(user) != seen:
            raise UserError(CHANGED_MEANWHILE)
        if name != user.name and (directory := directory_of(user)):
            raise UserError(f"{directory} manages this name. Change it there.", field="name")
        confirmed = require_confirmation(
            confirmation,
            weakenings=protection.admin_role_given(name, user.role, role),
            describe=partial(protection.change_of, user, name, role, groups, seen),
        )
        groups = with_local_groups(user, groups)
        changes = _save_profile(user, name=name, role=role, groups=groups)
        if changes:
            record(
                event=EventName.USER_CHANGE,
                actor=actor,
                target=user,
                client_info=client_info,
                metadata={"changes": changes, **confirmed},
            )
    return user


def create_user_from_directory(
    *,
    email: str,
    name: str,
    directory: str,
    metadata: dict[str, Any],
    client_info: ClientInfo = SYSTEM,
) -> User:
    """Add a member whom a directory vouches for, without a password."""
    try:
        with transaction.atomic():
            user = User.objects.create_user(email=email, name=name, role=Role.MEMBER)
            record(
                event=EventName.USER_CREATE,
                actor=None,
                actor_label=directory,
                target=user,
                client_info=client_info,
                metadata={"role": Role.MEMBER, "groups": [], **metadata},
            )
    except IntegrityError:
        raise UserError(EMAIL_TAKEN, field="email") from None
    return user


def change_user_from_directory(
    *,
    user: User,
    name: str,
    role: str,
    groups: Iterable[Group],
    directory: str,
    client_info: ClientInfo = SYSTEM,
) -> User:
    """Save what a directory says about a user, with the effects of `change_user`.

    The last active admin and a break-glass admin stay admins, and with ``DUAL_CONTROL`` nobody becomes
    one; the event says why.
    """
    with transaction.atomic():
        lock_state(user.pk)
        metadata: dict[str, Any] = {}
        try:
            user = _lock(user, leaves_admins=role != Role.ADMIN)
            _check_role(role, is_service=user.is_service)
            if settings.DUAL_CONTROL and any(protection.admin_role_given(name, user.role, role)):
                raise UserError(GIVEN_IN_PORTAL, field="role")
        except UserError as refusal:
            user = User.objects.select_for_update().get(pk=user.pk)
            role, metadata = user.role, {"kept_role": refusal.sentence}
        name = user.name if directory_of(user) else name
        changes = _save_profile(user, name=name, role=role, groups=groups)
        if changes or metadata:
            record(
                event=EventName.USER_CHANGE,
                actor=None,
                actor_label=directory,
                target=user,
                client_info=client_info,
                metadata={"changes": changes, **metadata},
            )
    return user


def deactivate_user(
    *, actor: User, window: Window | None, user: User, client_info: ClientInfo
) -> bool:
    """Deactivate a user: end sessions, revoke access, cancel pending requests.

    Returns whether the user was active.
    """
    with transaction.atomic():
        lock_states(actor.pk, user.pk)
        require_admin(actor=actor, window=window)
        return end_account(user=user, by=DeactivatedBy.ADMIN, actor=actor, client_info=client_info)


def end_account(
    *,
    user: User,
    by: DeactivatedBy,
    actor: User | None,
    client_info: ClientInfo,
    reason: str = "The user was deactivated.",
    actor_label: str = SYSTEM_LABEL,
    metadata: Metadata | None = None,
) -> bool:
    """Deactivate a user for a caller that has checked who may. Never the last active admin.

    The epoch advances, so that reactivating restores neither sessions nor verifications. Returns
    whether the user was active.
    """
    with transaction.atomic():
        advance_epoch(user=user)
        user = _lock(user, leaves_admins=True)
        if not user.is_active:
            return False
        user.is_active, user.deactivated_by = False, by
        user.save(update_fields=["is_active", "deactivated_by"])
        record(
            event=EventName.USER_DEACTIVATE,
            actor=actor,
            target=user,
            client_info=client_info,
            metadata=metadata,
            actor_label=actor_label,
        )
        revoke_all_access_of(user=user, actor=actor, reason=reason, client_info=client_info)
    return True


def reactivate_user(
    *,
    actor: User,
    window: Window | None,
    user: User,
    client_info: ClientInfo,
    confirmation: Confirmation | None = None,
) -> bool:
    """Let a user sign in again. Returns whether the user was deactivated.

    Raises `UserError` for a user whom a directory keeps deactivated, and ConfirmationRequired for an
    admin.
    """
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        user = User.objects.select_for_update().get(pk=user.pk)
        directory = directory_of(user)
        if user.deactivated_by == DeactivatedBy.DIRECTORY and directory:
            raise UserError(f"{directory} deactivated this user. Reactivate the user there.")
        changed = not user.is_active
        if changed:
            confirmed = require_confirmation(
                confirmation,
                weakenings=protection.admin_role_given(user.name, "", user.role),
                describe=partial(protection.reactivation_of, user),
            )
            user.is_active, user.deactivated_by = True, ""
            user.save(update_fields=["is_active", "deactivated_by"])
            record(
                event=EventName.USER_REACTIVATE,
                actor=actor,
                target=user,
                client_info=client_info,
                metadata=confirmed,
            )
    return changed


def _check_role(role: str, *, is_service: bool) -> None:
    if is_service and role == Role.ADMIN:
        raise UserError(SERVICE_ADMIN, field="role")


def user_digest(user: User) -> str:
    """Return the digest of what can be changed of a user."""
    return digest_of(_audited_fields(user))


def _lock(user: User, *, leaves_admins: bool) -> User:
    """Lock the user, and before that all admins if the user may be the last one."""
    admins = User.objects.account_admins().select_for_update().order_by("pk")
    other_admins = [admin.pk for admin in admins if admin.pk != user.pk] if leaves_admins else None
    locked = User.objects.select_for_update().get(pk=user.pk)
    if locked.is_account_admin and other_admins == []:
        raise UserError(LAST_ADMIN, field="role")
    if leaves_admins and is_break_glass_needed(locked):
        raise UserError(BREAK_GLASS, field="role")
    return locked


def _save_profile(
    user: User, *, name: str, role: str, groups: Iterable[Group]
) -> dict[str, dict[str, Any]]:
    """Save a locked user and return what changed. Another role ends sessions and voids evidence."""
    before = _audited_fields(user)
    user.name, user.role = name, role
    user.save(update_fields=["name", "role", "search_words"])
    user.groups.set(groups)
    after = _audited_fields(user)
    if before["role"] != after["role"]:
        advance_epoch(user=user)
    return {
        field: {"from": before[field], "to": after[field]}
        for field in before
        if before[field] != after[field]
    }


def _audited_fields(user: User) -> dict[str, Any]:
    return {"name": user.name, "role": user.role, "groups": _names(user.groups.all())}


def _names(groups: Iterable[Group]) -> list[str]:
    return sorted(group.name for group in groups)
