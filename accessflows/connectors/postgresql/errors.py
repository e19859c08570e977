"""The driver's errors as ours: a sentence, a class that says whether to try again, no secret.

Server messages are data from outside. Only the primary message is used, cut short, cleared of
control characters and of everything that looks like a verifier.
"""

import re

import psycopg
from psycopg import errors

from accessflows.connectors.errors import ConnectorError, TargetRefused, TargetUnavailable
from accessflows.connectors.protocol import Target

_VERIFIER = re.compile(r"(SCRAM-SHA-256\$|md5[0-9a-f]{32})\S*")
_PASSWORD_CLAUSE = re.compile(r"(?i)password\s+'[^']*'?")
_LONGEST_QUOTE = 200

# Parts of libpq's and the server's messages while connecting; no SQLSTATE is at hand there.
_REFUSALS: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("password authentication failed", "no password supplied", "is not permitted to log in"),
        (
            "{at} does not accept the broker {user} with its password. Enter the present password in "
            "the integration."
        ),
    ),
    (
        ("no pg_hba.conf entry", "pg_hba.conf rejects"),
        "{at} lets nobody in as {user} from here. Add a scram-sha-256 line for it to pg_hba.conf.",
    ),
    (
        ("authentication method requirement", "did not complete authentication"),
        (
            "{at} asks for a sign-in weaker than SCRAM, so the broker's password was not sent. "
            "Set password_encryption and pg_hba.conf to scram-sha-256."
        ),
    ),
    (
        ("does not support ssl", "server refused tls"),
        "{at} speaks no TLS, and the integration demands it ({sslmode}). Turn on ssl there.",
    ),
    (
        ("certificate", "ssl error", "sslmode value", "server common name", "host name must be"),
        (
            "The TLS certificate of {at} does not verify ({sslmode}). Check the CA certificate file "
            "and that the certificate names this host."
        ),
    ),
    (
        ("database", "does not exist"),
        "{at} has no database {database}. It was dropped or renamed; check the integration.",
    ),
    (
        ("permission denied for database",),
        (
            "The broker {user} may not connect to the database {database} at {at}. "
            "Run: GRANT CONNECT ON DATABASE to the broker."
        ),
    ),
    (
        ("not currently accepting connections",),
        "The database {database} at {at} takes no connections. Allow them or take it out.",
    ),
    (("role", "does not exist"), "{at} has no role {user}. Check the integration's broker role."),
)
_NEEDS_ALL = {("database", "does not exist"), ("role", "does not exist")}

_TRY_AGAIN = (
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
    """Why a connection did not come about."""
    text = str(error).lower()
    at = address(target)
    if isinstance(error, errors.ConnectionTimeout) or "timeout expired" in text:
        return TargetUnavailable(
            f"{at} did not answer within {target.connect_timeout_s} s. Check that it is up and "
            "that nothing between drops the connection; the portal attempts again."
        )
    for signs, sentence in _REFUSALS:
        judge = all if signs in _NEEDS_ALL else any
        if judge(sign in text for sign in signs):
            return TargetRefused(
                sentence.format(at=at, user=target.user, database=database, sslmode=target.sslmode)
            )
    if "too many" in text or "connection slots" in text:
        return TargetUnavailable(f"{at} has no free connection. The portal attempts again.")
    return TargetUnavailable(f"{at} cannot be reached. Is it up? The portal attempts again.")


def query_failure(error: psycopg.Error, target: Target) -> ConnectorError:
    """Why a statement failed on an open connection."""
    at = address(target)
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return TargetRefused(f"{at} is a standby and takes no changes. Give the primary's address.")
    quoted = quote(error.diag.message_primary)
    if isinstance(error, errors.InsufficientPrivilege):
        return TargetRefused(f"{at} refuses the broker a right it needs ({quoted}). See preflight.")
    concurrent = error.sqlstate == "XX000" and "concurrently" in quoted
    if isinstance(error, _TRY_AGAIN) or concurrent:
        return TargetUnavailable(f"{at} is busy just now ({quoted}). The portal attempts again.")
    if error.sqlstate is None and isinstance(error, psycopg.OperationalError):
        return TargetUnavailable(f"{at} broke off the connection. The portal attempts again.")
    return TargetRefused(f"{at} refused with {error.sqlstate or 'no code'}: {quoted}.")


def quote(message: str | None) -> str:
    """A server's message, fit for people and logs."""
    plain = "".join(c if c.isprintable() else " " for c in message or "no reason given")
    plain = _PASSWORD_CLAUSE.sub("password [removed]", _VERIFIER.sub("[removed]", plain))
    return plain if len(plain) <= _LONGEST_QUOTE else plain[:_LONGEST_QUOTE] + "..."
