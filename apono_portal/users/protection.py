"""What gives somebody the powers of an admin weakens protection: a second admin confirms it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import Group

from accessflows.dual_control.actions import (
    Arguments,
    Change,
    ProtectedAction,
    declare,
    differs,
)
from accessflows.exceptions import Refused
from apono_portal.core.web.seen_state import digest_of
from apono_portal.users.exceptions import UserError
from apono_portal.users.models import Role, User
from mfa.exceptions import InvalidReason, NotEnrolled
from mfa.methods.selectors import is_enrolled

SERVICES = "apono_portal.users.services"
REFUSALS = (Refused, UserError, NotEnrolled, InvalidReason)


def admin_role_given(name: str, before: str, after: str) -> Iterator[str]:
    """Yield a sentence if somebody becomes an admin. ``before`` is empty for who has no role now."""
    if after == Role.ADMIN and before != Role.ADMIN:
        yield f"{name} becomes an admin."


def admin_reset(user: User) -> Iterator[str]:
    """Yield a sentence if a reset removes the MFA of an admin, and refuse one that removes nothing."""
    if not is_enrolled(user.pk):
        raise NotEnrolled("This user has not set up MFA, so there is nothing to reset.")
    if user.is_account_admin:
        yield f"{user.name}, an admin, signs in without MFA until they set it up again."


@dataclass(frozen=True, kw_only=True)
class Profile(Arguments):
    """A user's name, role and groups, by id."""

    name: str
    role: str
    groups: tuple[int, ...]

    def as_kwargs(self) -> dict[str, Any]:
        return super().as_kwargs() | {"groups": Group.objects.filter(pk__in=self.groups)}


@dataclass(frozen=True, kw_only=True)
class NewAdmin(Profile):
    """A new user who is an admin."""

    email: str


@dataclass(frozen=True, kw_only=True)
class ChangedProfile(Profile):
    """The new profile of a user, and the digest of the one that was edited."""

    seen: str


@dataclass(frozen=True, kw_only=True)
class Reset(Arguments):
    """How the MFA of an admin is reset."""

    reason: str
    revoke_access: bool
    require_new_password: bool


def _state(user: User) -> str:
    groups = sorted(user.groups.values_list("pk", flat=True))
    fields = ("name", "role", "is_active", "deactivated_by")
    return digest_of({name: getattr(user, name) for name in fields} | {"groups": groups})


def _state_with_mfa(user: User) -> str:
    """Return a state that MFA set up anew is another one of."""
    return digest_of({"user": _state(user), "epoch": user.mfa_epoch})


CREATE_ADMIN = declare(
    ProtectedAction(
        name="user:create",
        label="Add admin",
        service=f"{SERVICES}.create_user",
        arguments=NewAdmin,
        model=User,
        page="users:detail",
        refusals=REFUSALS,
    )
)
MAKE_ADMIN = declare(
    ProtectedAction(
        name="user:change",
        label="Give admin role to",
        service=f"{SERVICES}.change_user",
        arguments=ChangedProfile,
        model=User,
        parameter="user",
        page="users:detail",
        fingerprint=_state,
        refusals=REFUSALS,
    )
)
REACTIVATE_ADMIN = declare(
    ProtectedAction(
        name="user:reactivate",
        label="Reactivate admin",
        service=f"{SERVICES}.reactivate_user",
        arguments=Arguments,
        model=User,
        parameter="user",
        page="users:detail",
        fingerprint=_state,
        refusals=REFUSALS,
    )
)
RESET_ADMIN = declare(
    ProtectedAction(
        name="mfa:reset",
        label="Reset MFA of admin",
        service=f"{SERVICES}.reset_mfa_of_user",
        arguments=Reset,
        model=User,
        parameter="user",
        page="users:detail",
        fingerprint=_state_with_mfa,
        refusals=REFUSALS,
    )
)


def creation_of(email: str, name: str, role: str, groups: Iterable[Group]) -> Change:
    return Change(
        action=CREATE_ADMIN,
        target=None,
        title=f"{name} <{email}>",
        arguments=NewAdmin(email=email, name=name, role=role, groups=_ids(groups)),
        differences=(differs("Email", "", email), differs("Role", "", Role(role).label)),
    )


def change_of(user: User, name: str, role: str, groups: Iterable[Group], seen: str) -> Change:
    groups = list(groups)
    before = _names(user.groups.all())
    differences = [
        differs("Name", user.name, name),
        differs("Role", user.get_role_display(), Role(role).label),
        differs("Groups", before, _names(groups)),
    ]
    return Change(
        action=MAKE_ADMIN,
        target=user,
        title=str(user),
        arguments=ChangedProfile(name=name, role=role, groups=_ids(groups), seen=seen),
        differences=tuple(one for one in differences if one["before"] != one["after"]),
    )


def reactivation_of(user: User) -> Change:
    return Change(
        action=REACTIVATE_ADMIN,
        target=user,
        title=str(user),
        arguments=Arguments(),
        differences=(differs("Status", "Deactivated", "Active"),),
    )


def reset_of(user: User, reset: Reset) -> Change:
    differences = [
        differs("Reason", "", reset.reason),
        differs("Revoke active access", "", "Yes" if reset.revoke_access else "No"),
        differs("Require a new password", "", "Yes" if reset.require_new_password else "No"),
    ]
    return Change(
        action=RESET_ADMIN,
        target=user,
        title=str(user),
        arguments=reset,
        differences=tuple(differences),
    )


def _ids(groups: Iterable[Group]) -> tuple[int, ...]:
    return tuple(sorted(group.pk for group in groups))


def _names(groups: Iterable[Group]) -> str:
    return ", ".join(sorted(group.name for group in groups)) or "None"
