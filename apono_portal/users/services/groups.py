"""Groups, which access flows name as requesters and approvers."""

from collections.abc import Collection, Iterable

from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction

from accessflows.permissions import require_admin
from apono_portal.core.web.client import ClientInfo
from apono_portal.core.web.seen_state import CHANGED_MEANWHILE, digest_of
from apono_portal.users.exceptions import UserError
from apono_portal.users.models import User
from apono_portal.users.ownership import require_local_group
from audit.events import EventName
from audit.services import record
from mfa.verification.window import Window

NAME_TAKEN = "A group with this name already exists."


def create_group(
    *,
    actor: User,
    window: Window | None,
    name: str,
    members: Iterable[User],
    client_info: ClientInfo,
) -> Group:
    """Add a group with members."""
    try:
        with transaction.atomic():
            require_admin(actor=actor, window=window)
            group = Group.objects.create(name=name)
            group.user_set.set(members)
            after = _emails(group)
            record(
                event=EventName.GROUP_CHANGE,
                actor=actor,
                target=group,
                client_info=client_info,
                metadata={"created": True, "joined": sorted(after), "left": []},
            )
    except IntegrityError:
        raise UserError(NAME_TAKEN, field="name") from None
    return group


def change_group(
    *,
    actor: User,
    window: Window | None,
    group: Group,
    name: str,
    members: Iterable[User],
    seen: str,
    client_info: ClientInfo,
) -> Group:
    """Rename a group and set its members. Users who left can no longer request or approve through it.

    ``seen`` is `group_digest` of what was edited.
    """
    try:
        with transaction.atomic():
            require_admin(actor=actor, window=window)
            group = _lock_local(group)
            if group_digest(group) != seen:
                raise UserError(CHANGED_MEANWHILE)
            before, old_name = _emails(group), group.name
            group.name = name
            group.save(update_fields=["name"])
            group.user_set.set(members)
            after = _emails(group)
            if before != after or old_name != name:
                _record_change(
                    group,
                    actor,
                    client_info,
                    name={"from": old_name, "to": name},
                    joined=sorted(after - before),
                    left=sorted(before - after),
                )
    except IntegrityError:
        raise UserError(NAME_TAKEN, field="name") from None
    return group


def rename_group(
    *,
    actor: User,
    window: Window | None,
    group: Group,
    name: str,
    seen: str,
    client_info: ClientInfo,
) -> Group:
    """Give a group another name. ``seen`` is `group_name_digest` of what was edited."""
    try:
        with transaction.atomic():
            require_admin(actor=actor, window=window)
            group = _lock_local(group)
            if group_name_digest(group) != seen:
                raise UserError(CHANGED_MEANWHILE)
            old_name, group.name = group.name, name
            if old_name != name:
                group.save(update_fields=["name"])
                _record_change(group, actor, client_info, name={"from": old_name, "to": name})
    except IntegrityError:
        raise UserError(NAME_TAKEN, field="name") from None
    return group


def add_group_members(
    *,
    actor: User,
    window: Window | None,
    group: Group,
    users: Collection[User],
    client_info: ClientInfo,
) -> list[User]:
    """Add users to a group and return those who were not members. The cost does not follow its size."""
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        group = _lock_local(group)
        members = set(group.user_set.filter(pk__in=[user.pk for user in users]))
        joined = [user for user in users if user not in members]
        if joined:
            group.user_set.add(*joined)
            emails = sorted(user.email for user in joined)
            _record_change(group, actor, client_info, joined=emails)
    return joined


def remove_group_member(
    *, actor: User, window: Window | None, group: Group, user: User, client_info: ClientInfo
) -> bool:
    """Remove a user from a group, who can no longer request or approve through it.

    Returns whether the user was a member.
    """
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        group = _lock_local(group)
        was_member = group.user_set.filter(pk=user.pk).exists()
        if was_member:
            group.user_set.remove(user)
            _record_change(group, actor, client_info, left=[user.email])
    return was_member


def group_name_digest(group: Group) -> str:
    """Return the digest of what the page "Rename" changes of a group."""
    return digest_of({"name": group.name})


def group_digest(group: Group) -> str:
    """Return the digest of what can be changed of a group."""
    return digest_of({"name": group.name, "members": sorted(_emails(group))})


def _emails(group: Group) -> set[str]:
    return set(group.user_set.values_list("email", flat=True))


def _lock_local(group: Group) -> Group:
    """Lock a group that no directory manages. Raises `UserError` for another."""
    locked = Group.objects.select_for_update().get(pk=group.pk)
    require_local_group(locked)
    return locked


def _record_change(
    group: Group,
    actor: User,
    client_info: ClientInfo,
    *,
    name: dict[str, str] | None = None,
    joined: Collection[str] = (),
    left: Collection[str] = (),
) -> None:
    record(
        event=EventName.GROUP_CHANGE,
        actor=actor,
        target=group,
        client_info=client_info,
        metadata={
            "name": name or {"from": group.name, "to": group.name},
            "joined": list(joined),
            "left": list(left),
        },
    )
