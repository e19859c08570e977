"""Calls of the portal's API. They follow no redirect: the token is for one address."""

import json
import time
import uuid
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import urlencode, urlsplit

from aport import __version__
from aport.config import Config
from aport.errors import FAILED, NOT_SIGNED_IN, CommandError, VerificationNeeded

TIMEOUT_S = 40
MAX_WAIT_S = 60
TOO_MANY, NOT_AUTHENTICATED, FIRST_ERROR = 429, 401, 300
Json = dict[str, Any]


class Client:
    """The portal, as the token's user sees it."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def get(self, path: str, **query: object) -> Json:
        given = {name: value for name, value in query.items() if value not in (None, "")}
        return self._call("GET", f"{path}?{urlencode(given)}" if given else path)

    def post(self, path: str, body: Json | None = None, *, once: bool = False) -> Json:
        """Post a body. ``once``: the portal repeats its answer rather than the effect."""
        headers = {"Idempotency-Key": str(uuid.uuid4())} if once else {}
        return self._call("POST", path, body, headers)

    def post_message(self, message: bytes, headers: dict[str, str]) -> bytes:
        """Post a message of an AI agent's program to the portal's MCP server, and return the answer."""
        response, text = self._send("POST", "/mcp", message, headers)
        is_json = response.headers.get_content_type() == "application/json"
        if response.status >= FIRST_ERROR and not is_json:
            raise _error(response.status, _parse(text))
        return text

    def _call(
        self, method: str, path: str, body: Json | None = None, headers: Json | None = None
    ) -> Json:
        content = None if body is None else json.dumps(body).encode()
        while True:
            response, text = self._send(method, f"/api/v1{path}", content, headers or {})
            if response.status == TOO_MANY:
                time.sleep(min(int(response.headers.get("Retry-After", "5")), MAX_WAIT_S))
                continue
            answer = _parse(text)
            if response.status >= FIRST_ERROR:
                raise _error(response.status, answer)
            return answer

    def _send(
        self, method: str, path: str, body: bytes | None, headers: Json
    ) -> tuple[HTTPResponse, bytes]:
        try:
            return self._exchange(method, path, body, headers)
        except (OSError, HTTPException) as error:
            raise CommandError(f"Cannot reach {self._config.url}: {error}") from None

    def _exchange(
        self, method: str, path: str, body: bytes | None, headers: Json
    ) -> tuple[HTTPResponse, bytes]:
        address = urlsplit(self._config.url)
        kind = HTTPSConnection if address.scheme == "https" else HTTPConnection
        connection = kind(address.netloc, timeout=TIMEOUT_S)
        try:
            connection.request(
                method,
                path,
                body,
                {
                    "Authorization": f"Bearer {self._config.token}",
                    "Accept": "application/json",
                    "Content-Type": "application/json",
                    "User-Agent": f"aport/{__version__}",
                    **headers,
                },
            )
            response = connection.getresponse()
            return response, response.read()
        finally:
            connection.close()


def _parse(text: bytes) -> Json:
    try:
        answer = json.loads(text) if text else {}
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _error(status: int, problem: Json) -> CommandError:
    sentence = str(problem.get("detail", f"The portal answered {status}."))
    if problem.get("step_up_url"):
        return VerificationNeeded(sentence, str(problem["step_up_url"]))
    details = [f"{one['where']}: {one['message']}" for one in problem.get("errors") or []]
    exit_code = NOT_SIGNED_IN if status == NOT_AUTHENTICATED else FAILED
    return CommandError("\n".join([sentence, *details]), exit_code)
