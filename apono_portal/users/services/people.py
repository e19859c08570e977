"""Adding, changing, deactivating people. There is always an active admin."""

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction

from accessflows.permissions import require_admin
from apono_portal.core.web.client import ClientInfo
from apono_portal.users.exceptions import PersonRefused
from apono_portal.users.models import Role, User
from audit.events import EventName
from audit.services import record
from mfa.verification.locking import advance_epoch, lock_states
from mfa.verification.window import Window
from requests_app.grants.revocation import revoke_all_access_of

EMAIL_TAKEN = "Somebody with this e-mail address is here already. Search for the address in Users."
LAST_ADMIN = "This is the last active admin. Make somebody else an admin first, or nobody could run the portal."


def create_user(
    *,
    actor: User,
    window: Window | None,
    email: str,
    name: str,
    role: str,
    groups: Iterable[Group],
    client_info: ClientInfo,
) -> User:
    """Add a person who cannot sign in before setting a password (`invite_user`)."""
    try:
        with transaction.atomic():
            require_admin(actor=actor, window=window)
            user: User = User.objects.create_user(email=email, name=name, role=role)
            user.groups.set(groups)
            record(
                event=EventName.USER_CREATE,
                actor=actor,
                target=user,
                client_info=client_info,
                metadata={"role": role, "groups": _names(groups)},
            )
    except IntegrityError:
        raise PersonRefused(EMAIL_TAKEN, field="email") from None
    return user


def change_user(
    *,
    actor: User,
    window: Window | None,
    user: User,
    name: str,
    role: str,
    groups: Iterable[Group],
    client_info: ClientInfo,
) -> User:
    """Save a person's name, role and groups. Takes effect with the person's next click.

    Another role ends all sessions and voids what was verified: nobody carries a window from one role
    into another.
    """
    with transaction.atomic():
        lock_states(actor.pk, user.pk)
        require_admin(actor=actor, window=window)
        user = _locked(user, leaves_admins=role != Role.ADMIN)
        before = _said(user)
        user.name, user.role = name, role
        user.save(update_fields=["name", "role", "search_words"])
        user.groups.set(groups)
        after = _said(user)
        if before["role"] != after["role"]:
            advance_epoch(user=user)
        changes = {
            term: {"from": before[term], "to": after[term]}
            for term in before
            if before[term] != after[term]
        }
        if changes:
            record(
                event=EventName.USER_CHANGE,
                actor=actor,
                target=user,
                client_info=client_info,
                metadata={"changes": changes},
            )
    return user


def deactivate_user(
    *, actor: User, window: Window | None, user: User, client_info: ClientInfo
) -> bool:
    """Stop a person: every session is dead, access ends, waiting requests are cancelled.

    Returns whether the person was active until now. The epoch moves, so that a later reactivation
    revives neither sessions nor evidence.
    """
    with transaction.atomic():
        lock_states(actor.pk, user.pk)
        require_admin(actor=actor, window=window)
        advance_epoch(user=user)
        user = _locked(user, leaves_admins=True)
        if not user.is_active:
            return False
        user.is_active = False
        user.save(update_fields=["is_active"])
        record(event=EventName.USER_DEACTIVATE, actor=actor, target=user, client_info=client_info)
        revoke_all_access_of(
            user=user, actor=actor, reason="The person was deactivated.", client_info=client_info
        )
    return True


def reactivate_user(
    *, actor: User, window: Window | None, user: User, client_info: ClientInfo
) -> bool:
    """Let a person sign in again, and return whether that changed anything."""
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        changed = User.objects.filter(pk=user.pk, is_active=False).update(is_active=True)
        if changed:
            record(
                event=EventName.USER_REACTIVATE, actor=actor, target=user, client_info=client_info
            )
    return bool(changed)


def _locked(user: User, *, leaves_admins: bool) -> User:
    """Lock the person, and all admins first if the person may be the last one to go."""
    admins = User.objects.active().filter(role=Role.ADMIN).select_for_update().order_by("pk")
    others = [admin.pk for admin in admins if admin.pk != user.pk] if leaves_admins else [0]
    locked: User = User.objects.select_for_update().get(pk=user.pk)
    if locked.is_account_admin and not others:
        raise PersonRefused(LAST_ADMIN, field="role")
    return locked


def _said(user: User) -> dict[str, Any]:
    return {"name": user.name, "role": user.role, "groups": _names(user.groups.all())}


def _names(groups: Iterable[Group]) -> list[str]:
    return sorted(group.name for group in groups)
