"""Sending forms as a browser does: with the hidden fields of the page."""

import html
import re
from collections.abc import Sequence
from typing import Any

from django.test import Client

HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)"(?: value="([^"]*)")?')


def hidden_fields(client: Client, url: str) -> dict[str, str]:
    """Return what a page's forms send besides what a user fills in; nothing if there is no page."""
    page = client.get(url)
    if page.status_code != 200:
        return {}
    fields = dict(HIDDEN.findall(page.content.decode()))
    # "next" is the theme's; "kept_form" changes nothing, it names the user.
    not_of_the_form = {"csrfmiddlewaretoken", "kept_form", "next"}
    return {name: html.unescape(fields[name]) for name in fields.keys() - not_of_the_form}


def post_form(client: Client, url: str, data: dict[str, Any] | None = None, **options: Any) -> Any:
    """Open a page, fill in its form, and send it."""
    values = {name: value if value != [] else "" for name, value in (data or {}).items()}
    return client.post(url, {**hidden_fields(client, url), **values}, **options)


def requester_fields(*, users: Sequence[Any] = (), groups: Sequence[Any] = ()) -> dict[str, Any]:
    """Return "Who can request" of a flow's form: these users, or these groups, by their ids."""
    kinds = [(kind, ids) for kind, ids in (("user", users), ("group", groups)) if ids]
    fields: dict[str, Any] = {"requesters": len(kinds)}
    for index, (kind, ids) in enumerate(kinds):
        fields |= {
            f"requesters-{index}-set_number": index + 1,
            f"requesters-{index}-attribute": kind,
            f"requesters-{index}-operator": "is",
            f"requesters-{index}-{kind}": list(ids),
        }
    return fields
