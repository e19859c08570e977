"""MCP on standard input and output: every message is passed to the portal's server, and its answer back.

The portal has the tools, and decides. This program adds the token and the address, so that an agent which
starts a program need not know either.
"""

import json
import sys
import threading
from argparse import Namespace
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aport import config
from aport.client import Client
from aport.errors import CommandError

AT_ONCE = 4  # so that a wait holds nothing else up
VERSION = "io.modelcontextprotocol/protocolVersion"
UNAVAILABLE = -32000
_output = threading.Lock()


def serve(arguments: Namespace) -> int:
    """Answer the messages on standard input, one a line, until it ends."""
    client = Client(config.load())
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for line in sys.stdin.buffer:
            if line.strip():
                pool.submit(_answer, client, line.strip())
    return 0


def _answer(client: Client, line: bytes) -> None:
    message = _parse(line)
    try:
        answer = client.post_message(line, _headers(message))
    except CommandError as error:
        answer = _failure(message, str(error))
    if answer:
        with _output:
            sys.stdout.buffer.write(answer.replace(b"\n", b" ") + b"\n")
            sys.stdout.buffer.flush()


def _headers(message: dict[str, Any]) -> dict[str, str]:
    """Return the headers that say again what a message says of itself, as its version demands."""
    params = _object(message.get("params"))
    version = _object(params.get("_meta")).get(VERSION)
    if version is None:
        return {}
    values = {"MCP-Protocol-Version": version, "Mcp-Method": message.get("method")}
    if message.get("method") == "tools/call":
        values["Mcp-Name"] = params.get("name")
    return {name: _header_value(value) for name, value in values.items()}


def _header_value(value: object) -> str:
    """Return a text that can be a header, and nothing for what cannot: the portal refuses that."""
    return value if isinstance(value, str) and value.isascii() and value.isprintable() else ""


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _failure(message: dict[str, Any], sentence: str) -> bytes:
    """Return an error for a call, and nothing for a notification."""
    if "id" not in message:
        return b""
    error = {"code": UNAVAILABLE, "message": sentence}
    return json.dumps({"jsonrpc": "2.0", "id": message["id"], "error": error}).encode()


def _parse(line: bytes) -> dict[str, Any]:
    try:
        return _object(json.loads(line))
    except (ValueError, RecursionError):
        return {}
