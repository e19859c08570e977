"""Calls of the portal's API by somebody who has a token, or a SCIM client's."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bench.attack.client import Client
from bench.browser import Browser, Response

API, APONO_API, SCIM = "/api/v1", "/api/client/v1", "/scim/v2"


class ApiCaller:
    """Somebody with a token and no cookies."""

    def __init__(self, browser: Browser, token: str) -> None:
        self.token = token
        self._browser = browser.twin()
        self._browser.cookies = {}

    def twin(self, token: str | None = None) -> "ApiCaller":
        return ApiCaller(self._browser, token or self.token)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Response:
        headers = {"Authorization": f"Bearer {self.token}", **headers}
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        text = None if body is None else json.dumps(body)
        return self._browser.send(method, path, text, headers)

    def get(self, path: str) -> Any:
        """Return the answer's content. Raise LookupError if it is an error."""
        response = self.call("GET", path)
        if response.status != 200:
            raise LookupError(f"{path}: {response.status} {response.text[:200]}")
        return json.loads(response.text)

    def works(self) -> bool:
        return self.call("GET", f"{API}/requests").status == 200

    def request(
        self, target: int, headers: Mapping[str, str] | None = None, **more: Any
    ) -> Response:
        body = {"targets": [target], "duration": "30m", "justification": "Look into OPS-7.", **more}
        return self.call("POST", f"{API}/requests", body, **(headers or {}))


def create_token(owner: Client, scopes: Sequence[str] = ()) -> ApiCaller:
    """Create a token through an open window, of every scope unless told, and return its caller."""
    form = owner.browser.get("/account/tokens/new/").form("name", "days", "scopes")
    page = owner.browser.get("/account/tokens/new/").soup
    every = [str(box["value"]) for box in page.select('input[name="scopes"]')]
    shown = owner.browser.submit(form, name="laptop", days="1", scopes=list(scopes) or every)
    field = shown.soup.select_one("#token")
    if field is None:
        raise LookupError(f"no token was made: {shown.status}")
    return ApiCaller(owner.browser, str(field["value"]))
