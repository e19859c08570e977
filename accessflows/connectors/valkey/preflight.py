"""Checks of a server: the broker's commands, the ACL file, who else can sign in, and each permission."""

from collections.abc import Iterator, Sequence

import valkey

from accessflows.connectors.errors import ClockSkew
from accessflows.connectors.protocol import Check, Target
from accessflows.connectors.tls import encryption_check
from accessflows.connectors.valkey import setup_commands
from accessflows.connectors.valkey.connection import Broker, connect_as_broker
from accessflows.connectors.valkey.names import Account, server_id_in
from accessflows.connectors.valkey.permissions import ALLOWED, permission_refusal

MIN_VERSION = (7, 0)


def preflight(
    target: Target, permissions: Sequence[str] | None = None, *, portal_id: str | None = None
) -> list[Check]:
    """Check every right the broker needs. Saves the accounts as they are, which shows that it can."""
    with connect_as_broker(target) as broker:
        accounts = broker.accounts()
        return [
            Check.passed("reachable", "The server accepts the broker."),
            encryption_check(target),
            _version(broker),
            _commands(broker),
            _acl_file(broker),
            _server_name(accounts),
            _default_account(accounts),
            _single_server(broker),
            _clock(broker),
            *_permissions(broker, accounts, permissions),
        ]


def _version(broker: Broker) -> Check:
    version = broker.version()
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers >= MIN_VERSION:
        return Check.passed("version", f"Version {version}.")
    return Check.failed(
        "version", f"Version {version or 'unknown'} lacks selectors. Use 7 or newer."
    )


def _commands(broker: Broker) -> Check:
    user = broker.target.user
    missing = [
        words
        for words in setup_commands.BROKER_COMMANDS
        if broker.run("ACL", "DRYRUN", user, *words) != ALLOWED
    ]
    if not missing:
        return Check.passed("broker", "The broker may run the commands it needs.")
    names = ", ".join(" ".join(words[:2]).upper() for words in missing)
    remedy = setup_commands.allow_broker(user, missing)
    return Check.failed("broker", f"The broker may not run {names}.", remedy)


def _acl_file(broker: Broker) -> Check:
    try:
        broker.run("ACL", "SAVE")
    except valkey.ResponseError:
        return Check.failed(
            "acl_file",
            "The server has no writable ACL file: after a restart, accounts would be missing or return.",
            setup_commands.ACL_FILE,
        )
    return Check.passed("acl_file", "Accounts are saved, so that a restart revives none.")


def _server_name(accounts: dict[str, Account]) -> Check:
    if server_id_in(accounts.values()):
        return Check.passed("server_name", "The portal recognizes the server by its name.")
    remedy = f"{setup_commands.name_server()}\n{setup_commands.SAVE}"
    return Check.failed(
        "server_name", "The server has no name by which the portal recognizes it.", remedy
    )


def _default_account(accounts: dict[str, Account]) -> Check:
    default = accounts.get("default")
    if default is None or not default.can_login:
        return Check.passed("default_account", "Nobody can connect without an account.")
    return Check.failed(
        "default_account",
        "The account “default” is on: whoever can reach the server may not need a grant.",
        setup_commands.CLOSE_DEFAULT,
    )


def _single_server(broker: Broker) -> Check:
    if broker.run("INFO", "cluster").get("cluster_enabled"):
        return Check.failed(
            "cluster", "Clusters are not supported: accounts belong to each node alone."
        )
    return Check.passed("cluster", "The server is not part of a cluster.")


def _clock(broker: Broker) -> Check:
    try:
        skew = broker.clock_skew()
    except ClockSkew as error:
        return Check.failed("clock", error.sentence)
    return Check.passed("clock", f"Clocks agree within {abs(skew).total_seconds():.1f} s.")


def _permissions(
    broker: Broker, accounts: dict[str, Account], permissions: Sequence[str] | None
) -> Iterator[Check]:
    for account in sorted(accounts.values(), key=lambda one: one.name):
        if account.is_template and (permissions is None or account.name in permissions):
            refusal = permission_refusal(broker, account)
            name = f"Permission {account.name}"
            yield (
                Check.failed(name, refusal)
                if refusal
                else Check.passed(name, f"{account.name} can be granted.")
            )
