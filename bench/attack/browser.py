"""A browser of few words: cookies, forms, one address of its own, kept-alive connections.

It follows no redirect and believes nothing: attacks want to see each answer as it is.
"""

import http.client
import itertools
import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlencode, urljoin, urlsplit

TIMEOUT_S = 60
FORM_TYPE = "application/x-www-form-urlencoded"
Pairs = list[tuple[str, str]]


@dataclass(slots=True)
class Form:
    """A form of a page, filled in as the page came."""

    action: str
    method: str
    fields: Pairs = field(default_factory=list)
    buttons: Pairs = field(default_factory=list)
    choices: dict[str, list[str]] = field(default_factory=dict)

    def filled(self, **values: str | list[str]) -> Pairs:
        """Return what would be sent with these fields changed or added; a list sends it repeatedly."""
        pairs = [(name, value) for name, value in self.fields if name not in values]
        for name, value in values.items():
            pairs += [(name, each) for each in (value if isinstance(value, list) else [value])]
        return pairs

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.fields} | set(self.choices)


@dataclass(slots=True)
class Answer:
    """Status, headers and text of one answer."""

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
        there = urlsplit(urljoin("http://portal" + self.url, self.location))
        query = f"?{there.query}" if there.query else ""
        return there.path + query if there.netloc == "portal" else self.location

    def forms(self) -> list[Form]:
        return _Forms.of(self.text, self.url)

    def form(self, *names: str) -> Form:
        """Return the page's form that has all these fields."""
        for form in self.forms():
            if form.method == "post" and set(names) <= form.names:
                return form
        raise LookupError(f"{self.url} ({self.status}) has no form with {', '.join(names)}")

    def form_to(self, part: str) -> Form:
        """Return the page's POST form whose address contains ``part``."""
        for form in self.forms():
            if form.method == "post" and part in form.action:
                return form
        raise LookupError(f"{self.url} ({self.status}) has no form to {part}")

    def json(self) -> object:
        return json.loads(self.text)


server_errors: list[str] = []  # of the whole campaign: no input may get one


class Browser:
    """One browser at one address. Not for several threads at once: give each its `twin`."""

    _turn = itertools.count()

    def __init__(self, ports: list[int], address: str = "127.0.0.1", host: str = "127.0.0.1"):
        self.ports, self.address, self.host = ports, address, host
        self.cookies: dict[str, str] = {}
        self.agent = "Mozilla/5.0 (campaign)"
        self.forwarded_for = ""
        self._connections: dict[int, http.client.HTTPConnection] = {}
        self._csrf_token = ""

    def twin(self, address: str | None = None) -> "Browser":
        """A copy with the same cookies and connections of its own."""
        other = Browser(self.ports, address or self.address, self.host)
        other.cookies, other._csrf_token = dict(self.cookies), self._csrf_token
        other.agent = self.agent
        return other

    def get(self, url: str, **headers: str) -> Answer:
        return self.send("GET", url, headers=headers)

    def post(
        self,
        url: str,
        data: Pairs | dict[str, str] | None = None,
        *,
        csrf: bool = True,
        **headers: str,
    ) -> Answer:
        """POST a form, with the token of this browser unless told otherwise."""
        pairs = list(data.items()) if isinstance(data, dict) else list(data or [])
        if csrf and not any(name == "csrfmiddlewaretoken" for name, _ in pairs):
            pairs.append(("csrfmiddlewaretoken", self.csrf_token()))
        body = urlencode(pairs)
        return self.send("POST", url, body, {"Content-Type": FORM_TYPE, **headers})

    def submit(self, form: Form, **values: str | list[str]) -> Answer:
        return self.post(form.action, form.filled(**values))

    def follow(self, answer: Answer, *, limit: int = 5) -> Answer:
        """GET where a redirect leads, and on from there."""
        while answer.status in (301, 302, 303, 307) and limit:
            answer, limit = self.get(answer.path), limit - 1
        return answer

    def csrf_token(self) -> str:
        """The token of a form of this browser. The cookie's own value is one that Django takes."""
        return self.cookies.get("csrf") or self._fetch_csrf()

    def _fetch_csrf(self) -> str:
        self.get("/sign-in/")
        return self.cookies.get("csrf", "")

    def send(
        self, method: str, url: str, body: str | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Send to the next of the portal's processes, as a balancer would."""
        port = self.ports[next(self._turn) % len(self.ports)]
        path = urlsplit(url)
        target = path.path + (f"?{path.query}" if path.query else "")
        for attempt in (1, 2):
            connection = self._connection(port)
            try:
                connection.request(method, target, body, self._headers(headers or {}))
                raw = connection.getresponse()
                text = raw.read().decode("utf-8", "replace")
                break
            except (http.client.HTTPException, ConnectionError):
                self.close()
                if attempt == 2:
                    raise
        if raw.status >= 500:
            server_errors.append(f"{raw.status} {method} {path.path}")
        self._keep_cookies(raw)
        found = {name.lower(): value for name, value in raw.getheaders()}
        return Answer(raw.status, url, found, text)

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def _connection(self, port: int) -> http.client.HTTPConnection:
        if port not in self._connections:
            self._connections[port] = http.client.HTTPConnection(
                "127.0.0.1", port, timeout=TIMEOUT_S, source_address=(self.address, 0)
            )
        return self._connections[port]

    def _headers(self, extra: dict[str, str]) -> dict[str, str]:
        named = {name.replace("_", "-"): value for name, value in extra.items()}
        headers = {"Host": self.host, "User-Agent": self.agent, **named}
        if self.forwarded_for:
            headers["X-Forwarded-For"] = self.forwarded_for
        if self.cookies:
            headers.setdefault("Cookie", "; ".join(f"{k}={v}" for k, v in self.cookies.items()))
        return headers

    def _keep_cookies(self, raw: http.client.HTTPResponse) -> None:
        for line in raw.headers.get_all("Set-Cookie") or []:
            pair, *attributes = (part.strip() for part in line.split(";"))
            name, _, value = pair.partition("=")
            if not value.strip('"') or any(a.lower() == "max-age=0" for a in attributes):
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value


class _Forms(HTMLParser):
    """Reads the forms of a page, also fields that name their form from elsewhere."""

    @classmethod
    def of(cls, text: str, url: str) -> list[Form]:
        parser = cls(url)
        parser.feed(text)
        parser.close()
        for form_id, name, value in parser._strays:
            if form_id in parser._by_id:
                parser._by_id[form_id].fields.append((name, value))
        return parser._forms

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._forms: list[Form] = []
        self._by_id: dict[str, Form] = {}
        self._strays: list[tuple[str, str, str]] = []
        self._form: Form | None = None
        self._select: tuple[str, bool] | None = None
        self._chosen: str | None = None
        self._first: str | None = None
        self._area: str | None = None
        self._text = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        attrs = {name: value or "" for name, value in attributes}
        if tag == "form":
            action = urljoin(self._url, attrs.get("action") or self._url)
            self._form = Form(action, attrs.get("method", "get").lower())
            self._forms.append(self._form)
            self._by_id[attrs.get("id", "")] = self._form
        elif tag == "input":
            self._input(attrs)
        elif tag == "button" and attrs.get("name") and self._form:
            self._form.buttons.append((attrs["name"], attrs.get("value", "")))
        elif tag == "select" and attrs.get("name"):
            self._select = (attrs["name"], "multiple" in attrs)
            self._first = self._chosen = None
        elif tag == "option" and self._select:
            self._option(attrs)
        elif tag == "textarea" and attrs.get("name"):
            self._area, self._text = attrs["name"], ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select" and self._select:
            name, multiple = self._select
            if not multiple:
                self._add(name, self._chosen if self._chosen is not None else self._first or "")
            self._select = None
        elif tag == "textarea" and self._area:
            self._add(self._area, self._text.removeprefix("\n"))
            self._area = None

    def handle_data(self, data: str) -> None:
        if self._area:
            self._text += data

    def _input(self, attrs: dict[str, str]) -> None:
        name, kind = attrs.get("name", ""), attrs.get("type", "text").lower()
        if not name or kind in {"submit", "button", "image", "reset", "file"}:
            return
        value = attrs.get("value", "on" if kind in {"checkbox", "radio"} else "")
        if kind in {"checkbox", "radio"}:
            if self._form:
                self._form.choices.setdefault(name, []).append(value)
            if "checked" not in attrs:
                return
        self._add(name, value, attrs.get("form", ""))

    def _option(self, attrs: dict[str, str]) -> None:
        assert self._select is not None
        name, multiple = self._select
        value = attrs.get("value", "")
        if self._form:
            self._form.choices.setdefault(name, []).append(value)
        self._first = self._first if self._first is not None else value
        if "selected" in attrs:
            if multiple:
                self._add(name, value)
            self._chosen = value

    def _add(self, name: str, value: str, form_id: str = "") -> None:
        if form_id:
            self._strays.append((form_id, name, value))
        elif self._form:
            self._form.fields.append((name, value))
