"""The driver's errors as ours: a sentence, a class that says whether to retry, and no secret.

Server messages are untrusted. Only the primary message is used, shortened, without control characters or
anything that looks like a password verifier.
"""

import re

import psycopg
from psycopg import errors

from accessflows.connectors.errors import ConnectorError, TargetRefused, TargetUnavailable
from accessflows.connectors.protocol import Target

_VERIFIER = re.compile(r"(SCRAM-SHA-256\$|md5[0-9a-f]{32})\S*")
_PASSWORD_CLAUSE = re.compile(r"(?i)password\s+'[^']*'?")
_MAX_QUOTE = 200
WILL_RETRY = "The portal will retry."

# Parts of the messages of libpq and the server while connecting, where there is no SQLSTATE.
_REFUSALS: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("password authentication failed", "no password supplied", "is not permitted to log in"),
        (
            "{at} does not accept the password of the broker {user}. Enter the current password in "
            "the integration."
        ),
    ),
    (
        ("no pg_hba.conf entry", "pg_hba.conf rejects"),
        "{at} does not allow {user} to connect from here. Add a scram-sha-256 line to pg_hba.conf.",
    ),
    (
        ("authentication method requirement", "did not complete authentication"),
        (
            "{at} requires authentication weaker than SCRAM, so no password was sent. "
            "Set password_encryption and pg_hba.conf to scram-sha-256."
        ),
    ),
    (
        ("does not support ssl", "server refused tls"),
        "{at} doesn't support TLS, which the integration requires ({sslmode}). Enable ssl on the server.",
    ),
    (
        ("certificate", "ssl error", "sslmode value", "server common name", "host name must be"),
        (
            "{at} has a TLS certificate that can't be verified ({sslmode}). Check the CA "
            "certificates and that the certificate is for this host."
        ),
    ),
    (
        ("database", "does not exist"),
        "{at} has no database {database}. It was dropped or renamed; check the integration.",
    ),
    (
        ("permission denied for database",),
        (
            "{at} does not allow the broker {user} to connect to the database {database}. "
            "Grant it CONNECT on that database."
        ),
    ),
    (
        ("not currently accepting connections",),
        "{at} accepts no connections to the database {database}. Allow them or remove it.",
    ),
    (("role", "does not exist"), "{at} has no role {user}. Check the integration's broker role."),
)
_MATCH_ALL = {("database", "does not exist"), ("role", "does not exist")}

_TEMPORARY = (
    errors.QueryCanceled,
    errors.LockNotAvailable,
    errors.DeadlockDetected,
    errors.SerializationFailure,
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    errors.IdleInTransactionSessionTimeout,
    errors.InsufficientResources,
    errors.OutOfMemory,
    errors.DiskFull,
    errors.TooManyConnections,
    errors.ObjectInUse,
)


def address(target: Target) -> str:
    return f"The target {target.host}:{target.port}"


def connect_failure(error: psycopg.Error, target: Target, database: str) -> ConnectorError:
    """Return why connecting failed."""
    text = str(error).lower()
    at = address(target)
    if isinstance(error, errors.ConnectionTimeout) or "timeout expired" in text:
        return TargetUnavailable(
            f"{at} did not respond within {target.connect_timeout_s} s. Check that it is running and "
            f"that no firewall drops the connection. {WILL_RETRY}"
        )
    for parts, sentence in _REFUSALS:
        matches = all if parts in _MATCH_ALL else any
        if matches(part in text for part in parts):
            return TargetRefused(
                sentence.format(at=at, user=target.user, database=database, sslmode=target.sslmode)
            )
    if "too many" in text or "connection slots" in text:
        return TargetUnavailable(f"{at} has no free connection. {WILL_RETRY}")
    return TargetUnavailable(f"{at} can't be reached. Check that it is running. {WILL_RETRY}")


def query_failure(error: psycopg.Error, target: Target) -> ConnectorError:
    """Return why a statement failed on an open connection."""
    at = address(target)
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return TargetRefused(f"{at} is a read-only standby. Enter the primary's address.")
    quoted = quote(error.diag.message_primary)
    if isinstance(error, errors.InsufficientPrivilege):
        return TargetRefused(f"{at} denied the broker a right it needs ({quoted}). Run a check.")
    concurrent = error.sqlstate == "XX000" and "concurrently" in quoted
    if isinstance(error, _TEMPORARY) or concurrent:
        return TargetUnavailable(f"{at} is busy ({quoted}). {WILL_RETRY}")
    if error.sqlstate is None and isinstance(error, psycopg.OperationalError):
        return TargetUnavailable(f"{at} closed the connection. {WILL_RETRY}")
    return TargetRefused(f"{at} refused with {error.sqlstate or 'no code'}: {quoted}.")


def quote(message: str | None) -> str:
    """Return a server's message, safe for pages and logs."""
    plain = "".join(c if c.isprintable() else " " for c in message or "no reason given")
    plain = _PASSWORD_CLAUSE.sub("password [removed]", _VERIFIER.sub("[removed]", plain))
    return plain if len(plain) <= _MAX_QUOTE else plain[:_MAX_QUOTE] + "..."
