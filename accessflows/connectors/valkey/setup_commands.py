"""The commands an administrator runs once on a server, also shown as the remedies of failed checks."""

import hashlib
import secrets
from collections.abc import Sequence

from accessflows.connectors.kinds import SetUpStep
from accessflows.connectors.valkey.names import SERVER_ACCOUNT, SERVER_PATTERN

BROKER_COMMANDS = (
    ("acl", "list"),
    ("acl", "setuser", "x"),
    ("acl", "deluser", "x"),
    ("acl", "save"),
    ("acl", "dryrun", "x", "ping"),
    ("client", "list"),
    ("client", "kill", "user", "x"),
    ("info",),
    ("time",),
    ("ping",),
)
SAVE = "ACL SAVE"
CLOSE_DEFAULT = (
    "ACL SETUSER default off\n" + SAVE + "\n# first give every application an account of its own"
)
ACL_FILE = (
    "# in valkey.conf, then restart; the file must exist and be writable\n"
    "aclfile /var/lib/valkey/users.acl"
)


def set_up(broker: str, password: str) -> tuple[SetUpStep, ...]:
    return (
        SetUpStep(
            "Keep accounts in a file",
            "Without it, a restart forgets or revives accounts. Skip it if aclfile is set already.",
            ACL_FILE,
        ),
        SetUpStep(
            "Create the broker and name the server",
            "In valkey-cli, as an administrator. The broker manages accounts and reads no keys. The second "
            "account can never sign in: it holds the name by which the portal recognizes this server.",
            "\n".join((create_broker(broker, password), name_server(), SAVE)),
        ),
        SetUpStep(
            "Choose what can be requested",
            "For each level of access, an account that is off and has no password. Its key patterns and "
            "commands are what a grant gets.",
            "ACL SETUSER app_read off resetpass ~app:* +@read +@connection -@dangerous\n" + SAVE,
        ),
    )


def create_broker(broker: str, password: str) -> str:
    """Return the command with the hash of the password, which keeps the password out of the server's log."""
    digest = hashlib.sha256(password.encode()).hexdigest()
    return f"ACL SETUSER {broker} reset on #{digest} {_rules(BROKER_COMMANDS)}"


def allow_broker(broker: str, missing: Sequence[Sequence[str]]) -> str:
    return f"ACL SETUSER {broker} {_rules(missing)}\n{SAVE}"


def name_server() -> str:
    return f"ACL SETUSER {SERVER_ACCOUNT} reset ({SERVER_PATTERN}{secrets.token_hex(8)})"


def _rules(commands: Sequence[Sequence[str]]) -> str:
    containers = {"acl", "client"}
    names = ("|".join(one[:2]) if one[0] in containers else one[0] for one in commands)
    return " ".join(f"+{name}" for name in names)
