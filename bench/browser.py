"""A browser for attacks: cookies, forms, a source address of its own, kept-alive connections.

It follows no redirect by itself: attacks need to see each response as it is.
"""

import http.client
import itertools
from dataclasses import dataclass, field
from urllib.parse import urlencode, urljoin, urlsplit

from bs4 import BeautifulSoup, Tag

TIMEOUT_S = 60
FORM_TYPE = "application/x-www-form-urlencoded"
UNSENT_INPUTS = {"submit", "button", "image", "reset", "file"}
Pairs = list[tuple[str, str]]


@dataclass(slots=True)
class Form:
    """A form of a page with the values it came with. ``names`` includes unchecked controls."""

    action: str
    method: str
    fields: Pairs = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    def filled(self, **values: str | list[str]) -> Pairs:
        """Return what is sent with these fields changed or added; a list sends a field repeatedly."""
        pairs = [(name, value) for name, value in self.fields if name not in values]
        for name, value in values.items():
            pairs += [(name, item) for item in (value if isinstance(value, list) else [value])]
        return pairs


def _values_of(control: Tag) -> list[str]:
    """Return what a control sends unless somebody changes it."""
    kind = str(control.get("type", "text")).lower()
    if control.name == "textarea":
        return [control.get_text().removeprefix("\n")]
    if control.name == "select":
        options = control.find_all("option")
        selected = [option for option in options if option.has_attr("selected")]
        if not control.has_attr("multiple"):
            selected = selected[-1:] or options[:1]
        return [str(option.get("value", "")) for option in selected]
    if kind in UNSENT_INPUTS:
        return []
    if kind in {"checkbox", "radio"}:
        return [str(control.get("value", "on"))] if control.has_attr("checked") else []
    return [str(control.get("value", ""))]


@dataclass(slots=True)
class Response:
    status: int
    url: str
    headers: dict[str, str]
    text: str

    @property
    def location(self) -> str:
        return self.headers.get("location", "")

    @property
    def path(self) -> str:
        """Where a redirect leads: path and query, or the whole address if it leads elsewhere."""
        address = urlsplit(urljoin("http://portal" + self.url, self.location))
        query = f"?{address.query}" if address.query else ""
        return address.path + query if address.netloc == "portal" else self.location

    @property
    def soup(self) -> BeautifulSoup:
        return BeautifulSoup(self.text, "html.parser")

    def forms(self) -> list[Form]:
        """Return the forms of the page. A control may name its form from elsewhere on the page."""
        soup, forms, by_id = self.soup, {}, {}
        for element in soup.find_all("form"):
            action = urljoin(self.url, str(element.get("action") or self.url))
            form = Form(action, str(element.get("method", "get")).lower())
            forms[id(element)] = by_id[element.get("id")] = form
        for control in soup.find_all(["input", "select", "textarea"], attrs={"name": True}):
            owner = control.get("form")
            form = by_id.get(owner) if owner else forms.get(id(control.find_parent("form")))
            if form is not None:
                form.names.add(name := str(control["name"]))
                form.fields += [(name, value) for value in _values_of(control)]
        return list(forms.values())

    def form(self, *names: str, action: str = "") -> Form:
        """Return the page's POST form with all these fields whose address contains ``action``."""
        for form in self.forms():
            if form.method == "post" and set(names) <= form.names and action in form.action:
                return form
        raise LookupError(
            f"{self.url} ({self.status}) has no form {action} with {', '.join(names)}"
        )


server_errors: list[str] = []  # of the whole campaign: no input may cause one


class Browser:
    """One browser at one address. Not thread-safe: give each thread its `twin`."""

    _counter = itertools.count()

    def __init__(self, ports: list[int], address: str = "127.0.0.1") -> None:
        self.ports, self.address = ports, address
        self.cookies: dict[str, str] = {}
        self.agent = "Mozilla/5.0 (campaign)"
        self.forwarded_for = ""
        self._connections: dict[int, http.client.HTTPConnection] = {}

    def twin(self, address: str | None = None) -> "Browser":
        """Return a copy with the same cookies and connections of its own."""
        other = Browser(self.ports, address or self.address)
        other.cookies, other.agent = dict(self.cookies), self.agent
        return other

    def get(self, url: str, **headers: str) -> Response:
        return self.send("GET", url, headers=headers)

    def post(
        self,
        url: str,
        data: Pairs | dict[str, str] | None = None,
        *,
        csrf: bool = True,
        **headers: str,
    ) -> Response:
        """POST a form, with this browser's CSRF token unless it has one or ``csrf`` is false."""
        pairs = list(data.items()) if isinstance(data, dict) else list(data or [])
        if csrf and not any(name == "csrfmiddlewaretoken" for name, _ in pairs):
            pairs.append(("csrfmiddlewaretoken", self.csrf_token()))
        return self.send("POST", url, urlencode(pairs), {"Content-Type": FORM_TYPE, **headers})

    def submit(self, form: Form, **values: str | list[str]) -> Response:
        return self.post(form.action, form.filled(**values))

    def follow(self, response: Response, *, limit: int = 5) -> Response:
        """GET where a redirect leads, and on from there."""
        while response.status in (301, 302, 303, 307) and limit:
            response, limit = self.get(response.path), limit - 1
        return response

    def csrf_token(self) -> str:
        """Return the cookie's own value, which Django takes as a token."""
        if "csrf" not in self.cookies:
            self.get("/sign-in/")
        return self.cookies.get("csrf", "")

    def send(
        self, method: str, url: str, body: str | None = None, headers: dict[str, str] | None = None
    ) -> Response:
        """Send to the next of the portal's processes, as a load balancer would."""
        port = self.ports[next(self._counter) % len(self.ports)]
        address = urlsplit(url)
        target = address.path + (f"?{address.query}" if address.query else "")
        for attempt in (1, 2):
            connection = self._connections.get(port) or http.client.HTTPConnection(
                "127.0.0.1", port, timeout=TIMEOUT_S, source_address=(self.address, 0)
            )
            self._connections[port] = connection
            try:
                connection.request(method, target, body, self._headers(headers or {}))
                raw = connection.getresponse()
                text = raw.read().decode("utf-8", "replace")
                break
            except (http.client.HTTPException, ConnectionError):
                self.close()
                if attempt == 2:
                    raise
        is_busy = raw.status == 503 and raw.getheader("Retry-After") is not None
        if raw.status >= 500 and not is_busy:
            server_errors.append(f"{raw.status} {method} {address.path}")
        self._store_cookies(raw)
        lowered = {name.lower(): value for name, value in raw.getheaders()}
        return Response(raw.status, url, lowered, text)

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def _headers(self, extra: dict[str, str]) -> dict[str, str]:
        headers = {"Host": "127.0.0.1", "User-Agent": self.agent, **extra}
        if self.forwarded_for:
            headers["X-Forwarded-For"] = self.forwarded_for
        if self.cookies:
            headers.setdefault("Cookie", "; ".join(f"{k}={v}" for k, v in self.cookies.items()))
        return headers

    def _store_cookies(self, raw: http.client.HTTPResponse) -> None:
        for line in raw.headers.get_all("Set-Cookie") or []:
            pair, *attributes = (part.strip() for part in line.split(";"))
            name, _, value = pair.partition("=")
            if not value.strip('"') or any(a.lower() == "max-age=0" for a in attributes):
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
