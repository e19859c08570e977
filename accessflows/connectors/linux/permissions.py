"""What the host's permissions.conf offers, and why some of it must not be granted, or only knowingly."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from accessflows.connectors.errors import TargetRefused
from accessflows.connectors.linux.connection import Host
from accessflows.connectors.protocol import DiscoveredPermission

RESOURCE = "host"
_ENDLESS = frozenset({"sudo", "wheel", "admin", "root"})  # rules that have no end of their own
_AS_ROOT = frozenset(
    {"docker", "podman", "lxd", "incus", "incus-admin", "disk", "shadow", "kmem", "libvirt"}
)
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,60}")


@dataclass(frozen=True)
class HostPermission:
    """One section of permissions.conf. `missing` are groups that the host does not have."""

    name: str
    groups: tuple[str, ...]
    sudo: str
    missing: tuple[str, ...]

    @property
    def refusal(self) -> str:
        """Return why it must never be granted, or an empty string."""
        if self.missing:
            return f"The host has no group {', '.join(self.missing)}. Correct permissions.conf."
        if endless := sorted(_ENDLESS.intersection(self.groups)):
            return (
                f"The group {endless[0]} gives root without an end. Use “sudo = ALL” in permissions.conf, "
                "which ends with the grant."
            )
        return ""

    @property
    def delegation(self) -> str:
        """Return how its grantees could give others access, or an empty string."""
        if self.sudo:
            return (
                f"{self.name} runs commands as root. Whoever can make them write files or start programs can "
                "create accounts, stop the portal's program, and leave what the portal does not see."
            )
        if strong := sorted(_AS_ROOT.intersection(self.groups)):
            return f"The group {strong[0]} is as powerful as root, and can leave what the portal does not see."
        return ""

    def sentences(self) -> list[str]:
        groups = [f"Member of the group {group}" for group in self.groups]
        return ["Sign in by SSH", *groups, *([f"Run by sudo: {self.sudo}"] if self.sudo else [])]

    def discovered(self) -> DiscoveredPermission:
        refusal = self.refusal
        return DiscoveredPermission(
            self.name, (RESOURCE,), refusal, "" if refusal else self.delegation
        )


def permissions_of(host: Host) -> dict[str, HostPermission]:
    """Return what the host offers, by name. What is not as it should be is left out."""
    offered = (_permission(one) for one in host.facts["permissions"])
    return {one.name: one for one in offered if _NAME.fullmatch(one.name)}


def require_permission(host: Host, name: str, *, allow_delegation: bool) -> HostPermission:
    """Return a permission. Raises TargetRefused if it must not be granted."""
    permission = permissions_of(host).get(name)
    if permission is None:
        raise TargetRefused(f"The host's permissions.conf has no {name}. Choose another.")
    if refusal := permission.refusal or ("" if allow_delegation else permission.delegation):
        raise TargetRefused(refusal)
    return permission


def _permission(values: Mapping[str, object]) -> HostPermission:
    return HostPermission(
        str(values["name"]),
        _texts(values["groups"]),
        str(values["sudo"]),
        _texts(values["missing"]),
    )


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(one)[:100] for one in value) if isinstance(value, list) else ()
