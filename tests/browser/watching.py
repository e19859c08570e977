"""Watches a browser while a test drives it: nothing may fail behind a page that looks fine."""

from dataclasses import dataclass, field

from playwright.sync_api import BrowserContext, ConsoleMessage, Request, Response


@dataclass
class Watch:
    """Collects failed requests, console errors, script errors and CSP violations.

    A page that answers with an error on purpose (a refused form, a missing page) is not a failure;
    a style sheet, a script or a picture that does is.
    """

    troubles: list[str] = field(default_factory=list)
    refused_pages: set[str] = field(default_factory=set)

    def attach(self, context: BrowserContext) -> None:
        context.on("requestfailed", self._on_request_failed)
        context.on("response", self._on_response)
        context.on("console", self._on_console)
        context.on("weberror", lambda error: self.troubles.append(f"script: {error.error}"))

    def _on_request_failed(self, request: Request) -> None:
        # Going on to the next page aborts what the last one was still fetching.
        if request.failure != "net::ERR_ABORTED":
            self.troubles.append(f"request: {request.method} {request.url} {request.failure}")

    def _on_response(self, response: Response) -> None:
        if response.status < 400:
            return
        if response.request.is_navigation_request() and response.status < 500:
            self.refused_pages.add(response.url)
        else:
            self.troubles.append(f"answer: {response.status} {response.url}")

    def _on_console(self, message: ConsoleMessage) -> None:
        about_a_page = message.location.get("url") in self.refused_pages
        if message.type == "error" and not (
            about_a_page and message.text.startswith("Failed to load resource")
        ):
            self.troubles.append(f"console: {message.text}")

    def assert_clean(self) -> None:
        assert self.troubles == [], "the browser met trouble"
