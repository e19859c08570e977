"""Checks of a host: its key, the host program, and each permission."""

from collections.abc import Iterator, Sequence

from accessflows.connectors.errors import ClockSkew
from accessflows.connectors.linux import setup_commands
from accessflows.connectors.linux.connection import Host, connect_as_broker
from accessflows.connectors.linux.keys import authority_key, parse_host_key, public_line
from accessflows.connectors.linux.permissions import permissions_of
from accessflows.connectors.linux.settings import LinuxSettings
from accessflows.connectors.protocol import Check, Target


def preflight(
    target: Target, permissions: Sequence[str] | None = None, *, portal_id: str | None = None
) -> list[Check]:
    """Check what the broker needs. Whether a grant can sign in is for the trial grant to show."""
    with connect_as_broker(target) as host:
        return [
            _host_key(target),
            _program(host),
            _authority(host),
            _group(host),
            _clock(host),
            *_permissions(host, permissions),
        ]


def _host_key(target: Target) -> Check:
    key = parse_host_key(target.settings_as(LinuxSettings).host_key)
    fingerprint = key.fingerprint if key else ""
    return Check.passed("host_key", f"The host has the key {fingerprint}. No other is accepted.")


def _program(host: Host) -> Check:
    if host.facts["is_root"] is True:
        return Check.passed(
            "broker", "The broker runs the host program, which may manage accounts."
        )
    return Check.failed("broker", "The host program does not run as root. Repeat the set-up.")


def _authority(host: Host) -> Check:
    expected = public_line(authority_key(host.target.password))
    if host.facts["ca"] == expected:
        return Check.passed("authority", "The host accepts certificates of this integration.")
    return Check.failed(
        "authority",
        "The host accepts certificates of another key than this integration's.",
        f"echo '{expected}' > {setup_commands.CONFIG}/ca.pub",
    )


def _group(host: Host) -> Check:
    if host.facts["has_group"] is True:
        return Check.passed("group", f"The group {setup_commands.GROUP} exists.")
    remedy = f"groupadd {setup_commands.GROUP}"
    return Check.failed("group", f"The host has no group {setup_commands.GROUP}.", remedy)


def _clock(host: Host) -> Check:
    try:
        skew = host.clock_skew()
    except ClockSkew as error:
        return Check.failed("clock", error.sentence)
    return Check.passed("clock", f"Clocks agree within {abs(skew).total_seconds():.1f} s.")


def _permissions(host: Host, permissions: Sequence[str] | None) -> Iterator[Check]:
    for name, permission in sorted(permissions_of(host).items()):
        if permissions is None or name in permissions:
            title = f"Permission {name}"
            yield (
                Check.failed(title, permission.refusal)
                if permission.refusal
                else Check.passed(title, f"{name} can be granted.")
            )
