"""What the rules of an account allow, and why some must never be granted."""

import re
from collections.abc import Iterable

from accessflows.connectors.valkey.connection import Broker
from accessflows.connectors.valkey.names import Account

# Each with arguments of its own number. Whoever may run one could stay, stall the server or see others.
_REFUSED = {
    "changes accounts": (("ACL", "SETUSER", "x"), ("ACL", "LOAD")),
    "changes the server's configuration": (
        ("CONFIG", "SET", "maxclients", "1"),
        ("MODULE", "LOAD", "x"),
        ("DEBUG", "SLEEP", "0"),
        ("REPLICAOF", "NO", "ONE"),
        ("SHUTDOWN",),
        ("FAILOVER",),
    ),
    "runs scripts, which can stall the server so that the portal can't end access": (
        ("EVAL", "x", "0"),
        ("EVAL_RO", "x", "0"),
        ("EVALSHA", "x", "0"),
        ("FCALL", "x", "0"),
        ("FCALL_RO", "x", "0"),
        ("FUNCTION", "LOAD", "x"),
    ),
    "stalls the server": (("SAVE",),),
    "stops or disconnects other clients": (
        ("CLIENT", "KILL", "TYPE", "normal"),
        ("CLIENT", "PAUSE", "1"),
    ),
    "sees what others run": (("MONITOR",), ("SYNC",)),
}
_KEYS = re.compile(r"(?P<how>%R|%W|%RW)?~(?P<pattern>.+)")
_HOW = {
    None: "Read and write keys",
    "%RW": "Read and write keys",
    "%R": "Read keys",
    "%W": "Write keys",
}
ALLOWED = "OK"


def permission_refusal(broker: Broker, account: Account) -> str:
    """Return why an account's rules must not be granted, or an empty string. Asks the server itself."""
    for reason, commands in _REFUSED.items():
        for words in commands:
            if broker.run("ACL", "DRYRUN", account.name, *words) == ALLOWED:
                command = " ".join(
                    words[:2] if words[0] in {"ACL", "CLIENT", "CONFIG"} else words[:1]
                )
                return f"{account.name} must not be granted: it {reason} ({command})."
    return ""


def describe_rules(rules: Iterable[str]) -> list[str]:
    """Return sentences on what the rules allow. Key patterns limit only commands that are allowed."""
    rules = list(rules)
    keys = [
        f"{_HOW[match['how']]} matching {match['pattern']}, as far as the commands allow"
        for rule in rules
        if (match := _KEYS.fullmatch(rule))
    ]
    channels = [f"Channels matching {rule[1:]}" for rule in rules if rule.startswith("&")]
    commands = " ".join(rule for rule in rules if rule[0] in "+-" and rule != "-@all")
    selectors = [f"Also: {rule.strip('()')}" for rule in rules if rule.startswith("(")]
    return [*keys, *channels, f"Commands: {commands or 'none'}", *selectors]
