"""``aport``: what was typed, and how it ends."""

import sys
from argparse import REMAINDER, ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from typing import NoReturn

from aport import __version__, commands, mcp
from aport.completion import SHELLS, script
from aport.errors import CommandError, VerificationNeeded
from aport.output import say, show_link

WAIT_S = 900.0
EPILOG = (
    "Exit codes: 0 done, 1 failed or refused, 2 wrong usage, 3 not signed in, 4 verification needed, "
    "5 timed out, 6 not granted."
)
COMMANDS = {
    "login": "store the portal's address and a token",
    "logout": "revoke the token and forget it",
    "inventory": "list what you may request",
    "request": "request access",
    "requests": "list your requests",
    "approve": "decide on a request",
    "access": "list your active access",
    "connect": "run psql, mariadb, valkey-cli or ssh with a credential of yours",
    "revoke": "revoke access, or cancel a request",
    "mcp": "serve an AI agent on standard input and output (MCP)",
    "completion": "print the completion of a shell",
}
RUN: dict[str, Callable[[Namespace], int]] = {
    "login": commands.login,
    "logout": commands.logout,
    "inventory": commands.inventory,
    "request": commands.request,
    "requests": commands.requests,
    "approve": commands.approve,
    "access": commands.access,
    "connect": commands.connect_to,
    "revoke": commands.revoke,
    "mcp": mcp.serve,
}


def build_parser() -> tuple[ArgumentParser, dict[str, ArgumentParser]]:
    """Return the parser, and those of the commands by name."""
    top = ArgumentParser(
        prog="aport", description="Apono Portal on the command line", epilog=EPILOG
    )
    top.add_argument("--version", action="version", version=__version__)
    subparsers = top.add_subparsers(required=True, metavar="COMMAND", dest="command")
    parsers = {name: subparsers.add_parser(name, help=text) for name, text in COMMANDS.items()}
    for name in COMMANDS.keys() - {"logout", "connect", "mcp", "completion"}:
        parsers[name].add_argument("-o", "--output", choices=("table", "json"), default="table")
    for name in ("request", "connect"):
        parsers[name].add_argument("--timeout", type=float, default=WAIT_S, metavar="SECONDS")
    for name in ("approve", "revoke"):
        parsers[name].add_argument("request", help="such as AR-12")
    parsers["login"].add_argument("url", help="such as https://access.example.org")
    parsers["inventory"].add_argument("words", nargs="*", help="words to search for")
    parsers["inventory"].add_argument("--integration", default="")
    parsers["requests"].add_argument("--status", default="")
    parsers["completion"].add_argument("shell", choices=SHELLS)
    _add_request(parsers["request"])
    _add_decision(parsers["approve"])
    _add_connection(parsers["connect"])
    return top, parsers


def _add_request(request: ArgumentParser) -> None:
    request.add_argument("resource", nargs="?")
    request.add_argument("permission", nargs="?")
    request.add_argument("--target", type=int, action="append", help="an ID of aport inventory")
    request.add_argument("--integration", default="")
    request.add_argument("--flow", default="")
    request.add_argument("--for", dest="duration", default="1h", help="such as 45m or 2h (1h)")
    request.add_argument("--reason", default="", help="the justification")
    request.add_argument("--ticket", default="")
    request.add_argument("--wait", action="store_true", help="wait for it, then connect")


def _add_decision(approve: ArgumentParser) -> None:
    approve.add_argument("--reason", default="")
    approve.add_argument("--reject", action="store_true")
    approve.add_argument("--yes", action="store_true", help="without a question")


def _add_connection(connect: ArgumentParser) -> None:
    connect.add_argument("access", help="a request, such as AR-12, or a resource")
    connect.add_argument("--reset", action="store_true", help="replace a revealed credential")
    connect.add_argument("arguments", nargs=REMAINDER, help="arguments of that program, after --")


def main(argv: Sequence[str] | None = None) -> int:
    parser, parsers = build_parser()
    arguments = parser.parse_args(argv)
    if arguments.command == "completion":
        print(script(arguments.shell, parsers))
        return 0
    if arguments.command == "connect" and arguments.arguments[:1] == ["--"]:
        del arguments.arguments[0]
    try:
        return RUN[arguments.command](arguments)
    except VerificationNeeded as needed:
        say(str(needed))
        show_link(needed.url)
        return needed.exit_code
    except CommandError as error:
        say(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1


def run() -> NoReturn:
    """Run the command line, and end with its exit code."""
    sys.exit(main())


if __name__ == "__main__":
    run()
