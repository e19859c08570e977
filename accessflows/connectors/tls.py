"""TLS on targets that do not negotiate it: a mode encrypts or it does not."""

from ipaddress import ip_address

from accessflows.connectors.protocol import Check, Target

ENCRYPTED = frozenset({"require", "verify-ca", "verify-full"})


def is_loopback(host: str) -> bool:
    """Whether a host is this machine; a name that merely starts like its address is not."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_encrypted(target: Target) -> bool:
    return target.sslmode in ENCRYPTED


def encryption_check(target: Target) -> Check:
    """Check that nobody on the network can read along or impersonate the target."""
    if is_loopback(target.host):
        return Check.passed("tls", "The connection stays on this machine.")
    if target.sslmode == "verify-full":
        return Check.passed("tls", "The connection is encrypted and the server is verified.")
    if is_encrypted(target):
        sentence = f"With TLS mode {target.sslmode}, an attacker on the network can impersonate the target."
    else:
        sentence = (
            "The connection is not encrypted: the broker's password can be read on the network."
        )
    return Check.failed("tls", f"{sentence} Use verify-full.")
