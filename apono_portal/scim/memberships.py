"""What a directory's groups mean for the portal: groups whose members access flows name."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import transaction
from scim2_models import InvalidValueException, UniquenessException

from apono_portal.core.formatting.printable import validate_printable
from apono_portal.scim.caller import Caller
from apono_portal.scim.models import ScimGroup, ScimUser
from apono_portal.users.models import User
from audit.events import EventName
from audit.services import record

MAX_NAME_LENGTH = 150


def create_group(*, caller: Caller, name: str) -> Group:
    """Add a group. It means nothing until an admin names it in an access flow.

    A group of that name that exists is never taken over: its members would gain what the name is
    worth.
    """
    with transaction.atomic():
        group = Group.objects.create(name=_free_name(name, group=None))
        _record(caller, EventName.GROUP_CHANGE, group, created=True, joined=[], left=[])
    return group


def update_group(
    *, caller: Caller, row: ScimGroup, name: str, members: Collection[ScimUser]
) -> None:
    """Rename a group, and set who its members are. The row is locked."""
    with transaction.atomic():
        group, old_name = row.group, row.group.name
        if old_name != name:
            group.name = _free_name(name, group=group)
            group.save(update_fields=["name"])
        row.members.set(members)
        accounts = set(row.members.exclude(user=None).values_list("user_id", flat=True))
        before = set(group.user_set.values_list("pk", flat=True))
        group.user_set.set(accounts)
        if before != accounts or old_name != name:
            _record(
                caller,
                EventName.GROUP_CHANGE,
                group,
                name={"from": old_name, "to": name},
                joined=_emails(accounts - before),
                left=_emails(before - accounts),
            )


def delete_group(*, caller: Caller, row: ScimGroup) -> None:
    """Delete a group, or leave it empty and local if access flows name it."""
    with transaction.atomic():
        group = row.group
        left = _emails(group.user_set.values_list("pk", flat=True))
        is_named = _is_named(group)
        group.user_set.clear()
        row.delete()
        event = EventName.GROUP_CHANGE if is_named else EventName.GROUP_DELETE
        _record(caller, event, group, joined=[], left=left, deleted_in_directory=True)
        if not is_named:
            group.delete()


def members_of(caller: Caller, entries: Collection[Any]) -> list[ScimUser]:
    """Return the users that the entries of a group name."""
    ids = set()
    for entry in entries:
        if (entry.type or "User").lower() != "user":
            raise InvalidValueException(detail="Groups within groups are not supported.")
        try:
            ids.add(UUID(entry.value))
        except (TypeError, ValueError):
            raise InvalidValueException(detail="A member has no valid id.") from None
    members = list(ScimUser.objects.filter(directory=caller.directory, pk__in=ids))
    if len(members) != len(ids):
        raise InvalidValueException(detail="A member is not a user of this directory.")
    return members


def _is_named(group: Group) -> bool:
    """Return whether anything but its members refers to a group, such as an access flow."""
    own = {"user", "scim_group"}
    relations = [rel for rel in Group._meta.related_objects if rel.name not in own]
    return any(
        rel.related_model._default_manager.filter(**{rel.field.name: group}).exists()
        for rel in relations
    )


def _free_name(name: str, *, group: Group | None) -> str:
    name = " ".join(name.split())
    try:
        validate_printable(name)
    except ValidationError:
        raise InvalidValueException(detail="The name has invisible characters.") from None
    if not 0 < len(name) <= MAX_NAME_LENGTH:
        raise InvalidValueException(detail=f"A name has 1 to {MAX_NAME_LENGTH} characters.")
    others = Group.objects.exclude(pk=group.pk) if group else Group.objects.all()
    if others.filter(name__iexact=name).exists():
        raise UniquenessException(detail="Another group has this name.")
    return name


def _emails(pks: Collection[int]) -> list[str]:
    return sorted(User.objects.filter(pk__in=pks).values_list("email", flat=True))


def _record(caller: Caller, event: EventName, group: Group, **values: object) -> None:
    record(
        event=event,
        actor=None,
        actor_label=caller.label,
        target=group,
        client_info=caller.client_info,
        metadata=caller.metadata(**values),
    )
