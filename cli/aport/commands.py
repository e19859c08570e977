"""The commands. Each returns the exit code."""

import getpass
import sys
from argparse import Namespace
from typing import Any

from aport import config
from aport.client import Client
from aport.connect import PROGRAMS, connect, wait_until_active
from aport.errors import VERIFICATION_NEEDED, CommandError
from aport.output import clean, left_until, print_json, print_table, say, show_link, time_of

PENDING = {"pending_mfa", "pending_approval", "scheduled"}
Json = dict[str, Any]


def login(arguments: Namespace) -> int:
    """Store the address and a token, which is typed or piped, never an argument."""
    url = config.checked_url(arguments.url)
    if sys.stdin.isatty():
        say(f"Create a token at {url}/account/tokens/new/")
        token = getpass.getpass("Token: ")
    else:
        token = sys.stdin.readline()
    checked = config.Config(url, token.strip())
    me = Client(checked).get("/me")
    path = config.save(checked)
    if arguments.output == "json":
        print_json(me)
    else:
        expires = time_of(me["token"]["expires_at"])
        say(f"Signed in as {me['email']} until {expires}. Stored in {path}.")
    return 0


def logout(arguments: Namespace) -> int:
    """Revoke the token, and forget it."""
    Client(config.load()).post("/me/token/revoke")
    config.forget()
    return 0


def inventory(arguments: Namespace) -> int:
    client = Client(config.load())
    items, page = [], 1
    while page:
        answer = client.get(
            "/inventory", q=" ".join(arguments.words), integration=arguments.integration, page=page
        )
        items += answer["items"]
        page = answer["next_page"]
    if arguments.output == "json":
        print_json(items)
        return 0
    print_table(
        ("ID", "INTEGRATION", "RESOURCE", "PERMISSION", "FLOW", "MFA", "APPROVAL", "MAX"),
        [
            (
                item["id"],
                item["integration"],
                item["resource"],
                item["permission"],
                f"{item['flow']['name']}{' (break-glass)' if item['flow']['break_glass'] else ''}",
                "yes" if item["flow"]["require_mfa"] else "no",
                item["flow"]["approval"].replace("_", " "),
                f"{item['flow']['max_duration_s'] // 60} min",
            )
            for item in items
        ],
    )
    return 0


def request(arguments: Namespace) -> int:
    """Request access and, with ``--wait``, wait for it and connect."""
    client = Client(config.load())
    body = {
        "targets": arguments.target or [_find_target(client, arguments)],
        "duration": arguments.duration,
        "justification": arguments.reason,
        "ticket": arguments.ticket,
    }
    answer = client.post("/requests", body, once=True)
    if not arguments.wait:
        return _show_submitted(answer, arguments)
    requests = [
        wait_until_active(client, created["id"], arguments.timeout)
        for created in answer["requests"]
    ]
    if arguments.output == "json":
        print_json(requests)
        return 0
    _print_requests(requests)
    grants = [grant for active in requests for grant in active["grants"]]
    if len(grants) != 1 or grants[0]["integration_kind"] not in PROGRAMS:
        return 0
    return connect(client, grants[0], [], arguments.timeout)


def _show_submitted(answer: Json, arguments: Namespace) -> int:
    if arguments.output == "json":
        print_json(answer["requests"])
    else:
        _print_requests(answer["requests"])
    if not answer["step_up_url"]:
        return 0
    say("Verify in your browser:")
    show_link(answer["step_up_url"])
    return VERIFICATION_NEEDED


def _find_target(client: Client, arguments: Namespace) -> int:
    """Return the only target of these names."""
    if not arguments.resource or not arguments.permission:
        raise CommandError("Name a resource and a permission, or --target. See: aport inventory")
    items = client.get(
        "/inventory",
        resource=arguments.resource,
        permission=arguments.permission,
        integration=arguments.integration,
        flow=arguments.flow,
    )["items"]
    if not items:
        raise CommandError("You cannot request that. See: aport inventory")
    if len(items) > 1:
        choices = [
            f"  {item['id']}  {item['integration']}  {item['flow']['name']}" for item in items
        ]
        raise CommandError("\n".join(["Several match. Name one with --target:", *choices]))
    return int(items[0]["id"])


def requests(arguments: Namespace) -> int:
    client = Client(config.load())
    answer = client.get("/requests", status=arguments.status)
    if arguments.output == "json":
        print_json(answer["items"])
    else:
        _print_requests(answer["items"])
    return 0


def access(arguments: Namespace) -> int:
    grants = Client(config.load()).get("/access")["items"]
    if arguments.output == "json":
        print_json(grants)
        return 0
    columns = ("REQUEST", "INTEGRATION", "RESOURCE", "PERMISSION", "STATUS", "LOGIN", "LEFT")
    names = ("request", "integration", "resource", "permission", "status", "login")
    print_table(
        columns, [(*(g[name] for name in names), left_until(g["expires_at"])) for g in grants]
    )
    return 0


def approve(arguments: Namespace) -> int:
    """Show a request and approve or reject it, after a question."""
    client = Client(config.load())
    number = request_number(arguments.request)
    review = client.get(f"/approvals/{number}")
    shown = review["request"]
    say(f"{shown['reference']} by {shown['requester']} through {shown['flow']}")
    for target, rights in review["rights"].items():
        say(f"  {target}: {'; '.join(rights) or 'no description'}")
    say(
        f"  for {shown['duration_s'] // 60} minutes: {shown['justification'] or 'no justification'}"
    )
    verdict = "reject" if arguments.reject else "approve"
    if not arguments.yes and input_from_terminal(f"{verdict.capitalize()}? [y/N] ") != "y":
        raise CommandError("Nothing was decided.")
    body = {
        "reason": arguments.reason,
        "fingerprint": review["fingerprint"],
        "digest": review["digest"],
    }
    decided = client.post(f"/approvals/{number}/{verdict}", body)
    if arguments.output == "json":
        print_json(decided)
    else:
        say(f"{decided['reference']} is {decided['status'].replace('_', ' ')}.")
    return 0


def connect_to(arguments: Namespace) -> int:
    """Connect to active access, named by its request or its resource."""
    client = Client(config.load())
    grants = [
        grant
        for grant in client.get("/access")["items"]
        if arguments.access in {grant["request"], grant["resource"], grant["id"]}
        and (grant["can_reveal"] or grant["can_reset"])
    ]
    if len(grants) != 1:
        sentence = "Several match" if grants else "You have no active access of that name"
        raise CommandError(f"{sentence}. See: aport access")
    if grants[0]["can_reset"] and not arguments.reset:
        raise CommandError(
            "This credential was revealed before. With --reset a new one replaces it; open sessions "
            "may end."
        )
    return connect(client, grants[0], arguments.arguments, arguments.timeout)


def revoke(arguments: Namespace) -> int:
    """Revoke access, or cancel a request that is not active yet."""
    client = Client(config.load())
    number = request_number(arguments.request)
    status = client.get(f"/requests/{number}")["status"]
    action = "cancel" if status in PENDING else "revoke"
    changed = client.post(f"/requests/{number}/{action}")
    if arguments.output == "json":
        print_json(changed)
    else:
        say(f"{changed['reference']} is {changed['status']}.")
    return 0


def request_number(reference: str) -> int:
    digits = reference.upper().removeprefix("AR-")
    if not digits.isascii() or not digits.isdigit():
        raise CommandError(f"Not a request: {reference}. Write AR-12.")
    return int(digits)


def input_from_terminal(question: str) -> str:
    if not sys.stdin.isatty():
        raise CommandError("Add --yes to decide without a question.")
    print(clean(question), end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower()


def _print_requests(shown: list[Json]) -> None:
    print_table(
        ("REQUEST", "STATUS", "ACCESS", "FLOW", "REQUESTED", "EXPIRES"),
        [
            (
                one["reference"],
                one["status"].replace("_", " "),
                ", ".join(f"{t['resource']} · {t['permission']}" for t in one["targets"]),
                one["flow"],
                time_of(one["created_at"]),
                time_of(one["ends_at"]),
            )
            for one in shown
        ],
    )
