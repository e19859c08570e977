"""Comparison of a target's logins with the database. Pure functions.

An unknown login of this portal, as after its database was restored from a backup, may be
legitimate and is left alone until it expires.
"""

import uuid
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from accessflows.connectors.protocol import AccountListing, GrantIdentity, ManagedAccount
from requests_app.models import Drift, Grant, GrantState

Kind = Drift.Kind
TOLERANCE = timedelta(seconds=2)

RETURNED = (
    "This login exists again after its removal, for example because the target was restored from a "
    "backup. The portal removes it."
)
DROPPED = (
    "This login was dropped on the target, outside the portal. Its open sessions were terminated. "
    "Ask the administrators of the target, and request access again if you still need it."
)
ATTRIBUTES = (
    "This login was given SUPERUSER, CREATEROLE or similar on the target, outside the portal. Revoke "
    "that on the target: the portal's broker may not be able to remove the login."
)
LOGIN_ENABLED = (
    "This login can sign in although the portal has never revealed its credential. Someone with "
    "rights on the target set a password. Revoke the access if that wasn't you."
)
LOGIN_DISABLED = "This login was disabled on the target, outside the portal. It cannot sign in."


@dataclass(frozen=True)
class Finding:
    """One difference. ``grant`` is None for an unknown login."""

    kind: Kind
    login: str
    sentence: str
    grant: Grant | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.login, self.kind.value


@dataclass(frozen=True)
class Comparison:
    """Findings, the unknown or returned roles past their end, and the grants whose login is gone."""

    findings: tuple[Finding, ...] = ()
    to_remove: tuple[ManagedAccount, ...] = ()
    dropped: tuple[Grant, ...] = ()

    def __add__(self, other: "Comparison") -> "Comparison":
        return Comparison(
            self.findings + other.findings,
            self.to_remove + other.to_remove,
            self.dropped + other.dropped,
        )


def compare(
    listing: AccountListing,
    recorded: Container[uuid.UUID],
    removed: Mapping[uuid.UUID, Grant],
    active: Iterable[Grant],
    *,
    since: datetime,
) -> Comparison:
    """Compare a role listing with the portal's rows, which were read after it.

    Of the grants named by the listing, ``recorded`` are those with a row and ``removed`` those proven
    removed; ``active`` are the active grants of this integration in the listing's range of names.
    ``since`` is the portal's time before the listing: changes after it prove nothing.
    """
    findings: list[Finding] = []
    to_remove: list[ManagedAccount] = []
    for role in listing.accounts:
        if role.grant_id is None:
            continue
        grant = removed.get(role.grant_id)
        if role.grant_id not in recorded:
            expired = is_past_its_end(role, listing.server_time)
            findings.append(Finding(Kind.UNKNOWN, role.name, _unknown(role, expired=expired)))
            to_remove += [role] if expired else []
        elif grant and grant.removed_at and grant.removed_at < since:
            findings.append(Finding(Kind.RETURNED, role.name, RETURNED, grant))
            to_remove.append(role)
    by_mark = {role.identity.mark: role for role in listing.accounts}
    dropped: list[Grant] = []
    for grant in active:
        if not _is_comparable(grant, listing, since):
            continue
        existing_role = by_mark.get(grant.login_mark)
        if existing_role is None or _is_of_another_grant(existing_role, grant):
            dropped.append(grant)
            findings.append(Finding(Kind.DROPPED, grant.login, DROPPED, grant))
        else:
            findings += _differences(grant, existing_role, since)
    return Comparison(tuple(findings), tuple(to_remove), tuple(dropped))


def is_past_its_end(role: ManagedAccount, server_time: datetime) -> bool:
    """Compare with the end in the marker or the one the target enforces, whichever is earlier."""
    ends = [end for end in (role.deadline, role.valid_until) if end is not None]
    return bool(ends) and min(ends) <= server_time


def identities_of(grants: Iterable[Grant]) -> list[GrantIdentity]:
    return [grant.identity for grant in grants if grant.identity is not None]


def _is_comparable(grant: Grant, listing: AccountListing, since: datetime) -> bool:
    """Whether the grant was active before the listing, on this server, and does not expire now."""
    return (
        grant.state == GrantState.ACTIVE
        and grant.activated_at is not None
        and grant.activated_at < since
        and grant.system_identifier == listing.server_id
        and grant.deadline > listing.server_time
    )


def _is_of_another_grant(role: ManagedAccount, grant: Grant) -> bool:
    """Whether the server gave the login's OID to the login of another grant, as after a restore."""
    return role.grant_id not in (None, grant.pk) and role.name not in ("", grant.login)


def _differences(grant: Grant, role: ManagedAccount, since: datetime) -> Iterator[Finding]:
    enabled = role.can_login and grant.revealed_at is None
    disabled = not role.can_login and _was_set_before(grant, since)
    for kind, sentence in (
        (Kind.RENAMED, _renamed(grant, role)),
        (Kind.UNMARKED, _unmarked(grant, role)),
        (Kind.DEADLINE, _postponed(grant, role)),
        (Kind.RIGHTS, _rights(grant, role)),
        (Kind.ATTRIBUTES, ATTRIBUTES if role.has_attributes else ""),
        (Kind.LOGIN_ENABLED, LOGIN_ENABLED if enabled else ""),
        (Kind.LOGIN_DISABLED, LOGIN_DISABLED if disabled else ""),
    ):
        if sentence:
            yield Finding(kind, grant.login, sentence, grant)


def _unknown(role: ManagedAccount, *, expired: bool) -> str:
    if expired:
        return "This login is unknown to the portal that created it, and expired. It is removed."
    end = f"{role.deadline:%Y-%m-%d %H:%M} UTC" if role.deadline else "an unknown time"
    return (
        "This login is unknown to the portal that created it, for example after a restore from a "
        f"backup. It may be legitimate, so it stays until it expires at {end}."
    )


def _renamed(grant: Grant, role: ManagedAccount) -> str:
    if role.name == grant.login:
        return ""
    return f"This login was renamed to {role.name} on the target. The portal still revokes it."


def _unmarked(grant: Grant, role: ManagedAccount) -> str:
    if role.grant_id == grant.pk:
        return ""
    return (
        "The comment with the portal's marker was changed on the target. The portal revokes this "
        "login when it expires; someone has to drop it by hand."
    )


def _postponed(grant: Grant, role: ManagedAccount) -> str:
    latest = max(filter(None, [grant.deadline, grant.extending_to]))
    if role.valid_until is not None and role.valid_until <= latest + TOLERANCE:
        return ""
    until = f"until {role.valid_until:%Y-%m-%d %H:%M} UTC" if role.valid_until else "forever"
    return (
        f"The target accepts this login {until}, past its deadline. The portal still revokes it on "
        "time, but the target would not refuse it if the portal were down."
    )


def _rights(grant: Grant, role: ManagedAccount) -> str:
    names = [membership.name for membership in role.memberships]
    extended = [m.name for m in role.memberships if m.admin or m.may_set]
    if names == [grant.permission] and not extended:
        return ""
    permissions = ", ".join(names) or "no permission"
    more = f" It may grant or assume {', '.join(extended)}." if extended else ""
    return f"This login has {permissions} on the target instead of only {grant.permission}.{more}"


def _was_set_before(grant: Grant, since: datetime) -> bool:
    """Whether the target confirmed a password by then. A reveal that was cut off left the login disabled."""
    return grant.password_set_at is not None and grant.password_set_at < since
