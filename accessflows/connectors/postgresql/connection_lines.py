"""How to use a credential: psql and a connection URI (PostgreSQL manual: psql; connection strings)."""

import shlex
from collections.abc import Mapping
from urllib.parse import quote, urlencode

from accessflows.connectors.protocol import ConnectionLine, Credential, GrantSpec, Target

DEFAULT_SSLMODE = "prefer"
ROOT_CERTIFICATE = "target-ca.pem"


def connection_lines(
    target: Target, spec: GrantSpec, credential: Credential
) -> tuple[ConnectionLine, ...]:
    """Return a psql command and a URI, both without the password, and the CA certificates they name."""
    options = _tls_options(target)
    lines = (
        ConnectionLine("Command", psql_command(credential, **options)),
        ConnectionLine("Connection URI", connection_uri(credential, **options)),
    )
    if not target.ca_certificates:
        return lines
    return (*lines, ConnectionLine("CA certificates", target.ca_certificates, ROOT_CERTIFICATE))


def psql_command(credential: Credential, **options: str) -> str:
    """Return a command that can be pasted into a shell; psql prompts for the password.

    ``-d`` takes a connection string if its value has ``=`` or starts like a URL, so such database
    names, and options like sslmode, are written as one.
    """
    database = credential.resource
    options = _without_defaults(options)
    if options or "=" in database or "://" in database or not database:
        words = {"dbname": database} | options
        database = " ".join(f"{name}={_quoted(value)}" for name, value in words.items())
    arguments = ["psql", "-h", credential.host, "-p", str(credential.port)]
    return shlex.join([*arguments, "-U", credential.user, "-d", database])


def connection_uri(credential: Credential, **options: str) -> str:
    host = f"[{credential.host}]" if ":" in credential.host else credential.host
    address = f"{quote(credential.user, safe='')}@{host}:{credential.port}"
    query = urlencode(_without_defaults(options))
    ending = f"?{query}" if query else ""
    return f"postgresql://{address}/{quote(credential.resource, safe='')}{ending}"


def _tls_options(target: Target) -> dict[str, str]:
    options = {"sslmode": target.sslmode}
    return options | ({"sslrootcert": ROOT_CERTIFICATE} if target.ca_certificates else {})


def _without_defaults(options: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in options.items() if value != DEFAULT_SSLMODE}


def _quoted(value: str) -> str:
    if value and all(char.isalnum() or char in "_-." for char in value):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
