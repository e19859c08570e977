"""Sending forms as a browser does: with the hidden fields of the page."""

import html
import re
from typing import Any

from django.test import Client

HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)"(?: value="([^"]*)")?')


def hidden_fields(client: Client, url: str) -> dict[str, str]:
    """Return what a page's forms send besides what a user fills in; nothing if there is no page."""
    page = client.get(url)
    if page.status_code != 200:
        return {}
    fields = dict(HIDDEN.findall(page.content.decode()))
    not_of_the_form = {"csrfmiddlewaretoken", "next"}  # "next" is the theme's
    return {name: html.unescape(fields[name]) for name in fields.keys() - not_of_the_form}


def post_form(client: Client, url: str, data: dict[str, Any] | None = None, **options: Any) -> Any:
    """Open a page, fill in its form, and send it."""
    values = {name: value if value != [] else "" for name, value in (data or {}).items()}
    return client.post(url, {**hidden_fields(client, url), **values}, **options)
