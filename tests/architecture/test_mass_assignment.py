"""Nobody changes through an address what it is not for: every field is posted to each, as every role."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from tests.architecture.conftest import World
from tests.architecture.smuggling import changes, form_of, smuggled, snapshot, undone
from tests.architecture.test_urls import VIEWS
from tests.architecture.url_table import URLS, Guard
from tests.architecture.writes import WRITES


def address_of(world: World, name: str) -> str:
    """The address of a view about something that is there."""
    space, _, action = name.partition(":")
    if "flow" in action or space == "flows":
        about = "flow"
    elif "integration" in action or space == "integrations":
        about = "integration"
    elif space == "requests":
        about = "waiting" if URLS[name] is Guard.APPROVER or action == "cancel" else "open"
    else:
        about = "group" if "group" in action else "person"
    run = world.numbers["canary" if "canary" in action else "check"]
    own = {"pk": world.numbers[about], "run_pk": run}
    return reverse(name, kwargs={**VIEWS[name], **{k: own[k] for k in VIEWS[name] if k in own}})


def tried(world: World, who: str, name: str) -> Iterator[dict[str, set[Any]]]:
    """Post everything, then the page's own form with everything beside it. Yields what changed."""
    address, client = address_of(world, name), world.clients[who]
    cookie = client.cookies.get(settings.SESSION_COOKIE_NAME)
    everything = smuggled(world.people.get(who, world.people["bystander"]))
    for payload in (lambda: everything, lambda: own_form(client, address, everything)):
        posted = payload()
        if not posted:
            return
        with undone() as written:
            answer = client.post(address, posted)
            yield changes(world.rows, snapshot()) if written else {}
        client.cookies.clear()
        if cookie:
            client.cookies[settings.SESSION_COOKIE_NAME] = cookie.value
        if answer.status_code in {404, 405}:
            return


def own_form(client: Client, address: str, beside: dict[str, Any]) -> dict[str, Any]:
    page = client.get(address)
    if page.status_code != 200 or page.streaming:
        return {}
    return form_of(page.content.decode(), address, beside)


MAY = {
    Guard.PUBLIC: {"stranger", "bystander", "requester", "approver", "auditor", "admin", "closed"},
    Guard.SIGNED_IN: {"bystander", "requester", "approver", "auditor", "admin", "closed"},
    Guard.OWN: {"requester", "admin", "closed"},
    Guard.APPROVER: {"approver"},
    Guard.READER: {"auditor", "admin", "closed"},
    Guard.ADMIN: {"admin"},
}


@pytest.mark.parametrize(
    "who", ["stranger", "bystander", "requester", "approver", "auditor", "closed", "admin"]
)
def test_only_what_an_address_is_for_is_changed_and_members_change_what_is_theirs(world, who):
    wrong = {}
    anybodys = who in {"auditor", "closed", "admin"}
    for name in VIEWS:
        allowed = WRITES.get(name, set()) if who in MAY[URLS[name]] else set()
        for found in tried(world, who, name):
            owners = set().union(*found.values()) - {None}
            foreign = not anybodys and owners - {world.people[who].pk if who in world.people else 0}
            if set(found) - allowed or foreign:
                wrong[name] = {what: sorted(map(str, whose)) for what, whose in found.items()}
    assert wrong == {}
