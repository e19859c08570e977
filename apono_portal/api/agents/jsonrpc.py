"""The Model Context Protocol: JSON-RPC messages, versions, and what a server answers beside its tools.

The server keeps no state. It serves the revisions that begin with ``initialize``, without a session, and
the later one in which every call says its version (modelcontextprotocol.io, Streamable HTTP).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

WITH_HANDSHAKE = ("2025-03-26", "2025-06-18", "2025-11-25")
STATELESS = "2026-07-28"
VERSIONS = (*WITH_HANDSHAKE, STATELESS)
VERSION_HEADER, METHOD_HEADER, NAME_HEADER = "MCP-Protocol-Version", "Mcp-Method", "Mcp-Name"
META = "io.modelcontextprotocol/"

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
HEADER_MISMATCH = -32020
UNSUPPORTED_VERSION = -32022
Json = dict[str, Any]


@dataclass
class ProtocolError(Exception):
    """A message that is no call of this server. ``status`` is that of the HTTP response."""

    code: int
    message: str
    status: int = 400
    data: Json | None = None


@dataclass(frozen=True)
class Call:
    """One message. ``version`` is its revision, and ``id`` None for a notification."""

    method: str
    params: Json
    version: str
    id: int | str | None = None

    @property
    def is_stateless(self) -> bool:
        return self.version == STATELESS

    def result(self, result: Json, *, cacheable: bool = False) -> Json:
        """Return the response with a result."""
        if self.is_stateless:
            result = {"resultType": "complete", **result}
            if cacheable:
                result |= {"ttlMs": 0, "cacheScope": "private"}
        return {"jsonrpc": "2.0", "id": self.id, "result": result}


def parse_call(body: bytes, headers: Mapping[str, str]) -> Call:
    """Return the call in a body. Raises `ProtocolError`."""
    message = _parse(body)
    params = message.get("params", {})
    if not isinstance(params, dict):
        raise ProtocolError(INVALID_PARAMS, "params must be an object.")
    header = headers.get(VERSION_HEADER, "")
    meta = params.get("_meta")
    named = meta.get(f"{META}protocolVersion") if isinstance(meta, dict) else None
    version = header or WITH_HANDSHAKE[0]
    if message["method"] == "initialize":
        version = WITH_HANDSHAKE[-1]
    elif "id" in message and (named is not None or version == STATELESS):
        _check_envelope(message, meta, headers)
    if version not in VERSIONS:
        supported = {"supported": list(VERSIONS), "requested": version}
        raise ProtocolError(UNSUPPORTED_VERSION, "Unsupported protocol version", data=supported)
    return Call(message["method"], params, version, message.get("id"))


def error_response(error: ProtocolError, call_id: int | str | None = None) -> Json:
    details: Json = {"code": error.code, "message": error.message}
    if error.data is not None:
        details["data"] = error.data
    return {"jsonrpc": "2.0", "id": call_id, "error": details}


def initialize(params: Json, server: Json) -> Json:
    """Return the result of the handshake: the version of the client, or else the latest of these."""
    requested = params.get("protocolVersion")
    version = requested if requested in WITH_HANDSHAKE else WITH_HANDSHAKE[-1]
    return {"protocolVersion": version, **server}


def _parse(body: bytes) -> Json:
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        raise ProtocolError(PARSE_ERROR, "The body is no JSON.") from None
    call_id = message.get("id", 0) if isinstance(message, dict) else None
    is_call = (
        isinstance(message, dict)
        and message.get("jsonrpc") == "2.0"
        and isinstance(message.get("method"), str)
        and isinstance(call_id, int | str)
        and not isinstance(call_id, bool)
    )
    if not is_call:
        raise ProtocolError(INVALID_REQUEST, "Send one JSON-RPC request or notification.")
    parsed: Json = message
    return parsed


def _check_envelope(message: Json, meta: object, headers: Mapping[str, str]) -> None:
    """Refuse a stateless call without what it must say of itself, or with headers that differ from it."""
    required = (f"{META}protocolVersion", f"{META}clientCapabilities")
    if not isinstance(meta, dict) or any(key not in meta for key in required):
        raise ProtocolError(INVALID_PARAMS, f"params._meta must have {' and '.join(required)}.")
    in_body = {VERSION_HEADER: meta[required[0]], METHOD_HEADER: message["method"]}
    if message["method"] == "tools/call":
        in_body[NAME_HEADER] = message["params"].get("name")
    for header, value in in_body.items():
        if headers.get(header) != value:
            raise ProtocolError(HEADER_MISMATCH, f"The header {header} differs from the body.")
