"""Desired and actual: what the portal knows of a target's logins, beside what is there.

Pure comparison. A login of this portal that it does not know, as after its database was restored
from a backup, is left alone until its own end: somebody may use it rightly.
"""

import uuid
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from accessflows.connectors.protocol import GrantIdentity, ManagedRole, RoleListing
from requests_app.models import Drift, Grant, GrantState

Kind = Drift.Kind
TOLERANCE = timedelta(seconds=2)


@dataclass(frozen=True)
class Finding:
    """One difference, in a sentence for people. ``grant`` is None for a login nobody knows."""

    kind: Kind
    login: str
    sentence: str
    grant: Grant | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.login, self.kind.value


@dataclass(frozen=True)
class Comparison:
    """``to_remove`` are past their own end and nobody's; ``dropped`` are gone under their session."""

    findings: tuple[Finding, ...] = ()
    to_remove: tuple[ManagedRole, ...] = ()
    dropped: tuple[Grant, ...] = ()

    def __add__(self, other: "Comparison") -> "Comparison":
        return Comparison(
            self.findings + other.findings,
            self.to_remove + other.to_remove,
            self.dropped + other.dropped,
        )


def compare(
    roll: RoleListing,
    known: Container[uuid.UUID],
    ended: Mapping[uuid.UUID, Grant],
    active: Iterable[Grant],
    *,
    since: datetime,
) -> Comparison:
    """Compare a roll call with the portal's rows, read after it.

    ``known`` are those of the grants the markers name of which there is a row, ``ended`` those of them
    that were proven gone, ``active`` the open ones of this integration in the roll's range of OIDs.
    ``since`` is the portal's time before the roll was called: what changed after it proves nothing.
    """
    findings: list[Finding] = []
    to_remove: list[ManagedRole] = []
    for role in roll.roles:
        if role.grant_id is None:
            continue
        grant = ended.get(role.grant_id)
        if role.grant_id not in known:
            over = is_past_its_end(role, roll.server_time)
            findings.append(Finding(Kind.UNKNOWN, role.name, _unknown(role, over=over)))
            to_remove += [role] if over else []
        elif grant and grant.ended_at and grant.ended_at < since:
            findings.append(Finding(Kind.BACK, role.name, _BACK, grant))
            to_remove.append(role)
    by_oid = {role.identity.role_oid: role for role in roll.roles}
    dropped: list[Grant] = []
    for grant in active:
        if not _is_comparable(grant, roll, since):
            continue
        role_there = by_oid.get(grant.login_oid or 0)
        if role_there is None:
            dropped.append(grant)
            findings.append(Finding(Kind.DROPPED, grant.login, _DROPPED, grant))
        else:
            findings += _differences(grant, role_there, since)
    return Comparison(tuple(findings), tuple(to_remove), tuple(dropped))


def is_past_its_end(role: ManagedRole, server_time: datetime) -> bool:
    """By the marker, or by what the target enforces: whichever comes first."""
    ends = [end for end in (role.deadline, role.valid_until) if end is not None]
    return bool(ends) and min(ends) <= server_time


def identities_of(grants: Iterable[Grant]) -> list[GrantIdentity]:
    return [grant.identity for grant in grants if grant.identity is not None]


def _is_comparable(grant: Grant, roll: RoleListing, since: datetime) -> bool:
    """Open before the roll was called, on this very server, and not about to end."""
    return (
        grant.state == GrantState.ACTIVE
        and grant.activated_at is not None
        and grant.activated_at < since
        and grant.system_identifier == roll.system_identifier
        and grant.deadline > roll.server_time
    )


def _differences(grant: Grant, role: ManagedRole, since: datetime) -> Iterator[Finding]:
    for kind, sentence in (
        (Kind.RENAMED, _renamed(grant, role)),
        (Kind.UNMARKED, _unmarked(grant, role)),
        (Kind.DEADLINE, _pushed(grant, role)),
        (Kind.RIGHTS, _rights(grant, role)),
        (Kind.POWERS, _POWERS if role.has_attributes else ""),
        (Kind.OPENED, _OPENED if role.can_login and grant.revealed_at is None else ""),
        (Kind.CLOSED, _CLOSED if not role.can_login and _shown_before(grant, since) else ""),
    ):
        if sentence:
            yield Finding(kind, grant.login, sentence, grant)


_BACK = (
    "This login was proven gone and is there again, as after the target was restored from a backup. "
    "The portal removes it."
)
_DROPPED = (
    "This login was dropped on the target, not by the portal. Sessions it left open were ended. "
    "Ask whoever looks after the target, and make a new request if access is still needed."
)
_POWERS = (
    "This login was given SUPERUSER, CREATEROLE or the like on the target, not by the portal. Take "
    "that from it: the portal's broker may not be able to end it."
)
_OPENED = (
    "This login can sign in although the portal has shown nobody its credential. Somebody with "
    "rights on the target set a password. End the access if that was not you."
)
_CLOSED = "This login was closed on the target, not by the portal. It cannot sign in."


def _unknown(role: ManagedRole, *, over: bool) -> str:
    if over:
        return "The portal does not know this login of its own; its end has passed. It is removed."
    end = f"{role.deadline:%Y-%m-%d %H:%M} UTC" if role.deadline else "an unknown time"
    return (
        f"The portal does not know this login of its own, as after a restore from a backup. It may "
        f"be in rightful use, so it stays until its end at {end}."
    )


def _renamed(grant: Grant, role: ManagedRole) -> str:
    if role.name == grant.login:
        return ""
    return f"This login is named {role.name} on the target now. The portal still ends it."


def _unmarked(grant: Grant, role: ManagedRole) -> str:
    if role.grant_id == grant.pk:
        return ""
    return (
        "The comment with the portal's marker was changed on the target. The portal will cut this "
        "login at its end, and somebody has to drop it by hand."
    )


def _pushed(grant: Grant, role: ManagedRole) -> str:
    latest = max(filter(None, [grant.deadline, grant.extending_to]))
    if role.valid_until is not None and role.valid_until <= latest + TOLERANCE:
        return ""
    until = f"{role.valid_until:%Y-%m-%d %H:%M} UTC" if role.valid_until else "for ever"
    return (
        f"The target would let this login in until {until}, past its end. The portal still ends it "
        "on time; if the portal is down then, the target does not."
    )


def _rights(grant: Grant, role: ManagedRole) -> str:
    names = [each.name for each in role.memberships]
    widened = [each.name for each in role.memberships if each.admin or each.may_set]
    if names == [grant.permission] and not widened:
        return ""
    has = ", ".join(names) or "nothing"
    more = f" It may hand on or act as {', '.join(widened)}." if widened else ""
    return f"This login has {has} on the target instead of {grant.permission} alone.{more}"


def _shown_before(grant: Grant, since: datetime) -> bool:
    return grant.revealed_at is not None and grant.revealed_at < since
