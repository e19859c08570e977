"""Which directory manages a user or a group. What it manages is changed there and nowhere else.

The directories are rows of `apono_portal.scim`.
"""

from collections.abc import Iterable

from django.contrib.auth.models import Group

from apono_portal.users.exceptions import UserError
from apono_portal.users.models import User


def directory_of(user: User) -> str:
    """Return the name of the directory that manages a user, "" for a local user."""
    scim_user = getattr(user, "scim_user", None)
    return str(scim_user.directory) if scim_user else ""


def directory_of_group(group: Group) -> str:
    """Return the name of the directory that manages a group, "" for a local group."""
    scim_group = getattr(group, "scim_group", None)
    return str(scim_group.directory) if scim_group else ""


def with_local_groups(user: User, groups: Iterable[Group]) -> list[Group]:
    """Return the groups of a user whose local groups are chosen by hand.

    Groups of a directory stay as they are, chosen or not. Raises `UserError` for one that the user is
    not a member of.
    """
    managed = {group.pk: group for group in user.groups.filter(scim_group__isnull=False)}
    chosen = list(groups)
    for group in chosen:
        if group.pk not in managed and (directory := directory_of_group(group)):
            raise UserError(
                f"{directory} manages the group {group.name}. Add the user there.", field="groups"
            )
    return [*(group for group in chosen if group.pk not in managed), *managed.values()]


def require_local_group(group: Group) -> None:
    """Raise `UserError` for a group of a directory."""
    if directory := directory_of_group(group):
        raise UserError(f"{directory} manages this group. Change it there.")
