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
    params = message.get("params")
    meta = params.get("_meta") if isinstance(params, dict) else None
    version = meta.get(VERSION) if isinstance(meta, dict) else None
    if not isinstance(version, str):
        return {}
    headers = {"MCP-Protocol-Version": version, "Mcp-Method": message.get("method")}
    if message.get("method") == "tools/call":
        headers["Mcp-Name"] = params.get("name")
    return {name: value for name, value in headers.items() if _is_header_value(value)}


def _is_header_value(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.isprintable()


def _failure(message: dict[str, Any], sentence: str) -> bytes:
    """Return an error for a call, and nothing for a notification."""
    if "id" not in message:
        return b""
    error = {"code": UNAVAILABLE, "message": sentence}
    return json.dumps({"jsonrpc": "2.0", "id": message["id"], "error": error}).encode()


def _parse(line: bytes) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}
