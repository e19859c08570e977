"""Other people's requests, credentials, decisions, devices, users and flows, by their numbers.

The insider here is a colleague with an open window of their own, which is more than a thief has.
"""

import itertools

from bench.attack.attacks.races import activate
from bench.attack.campaign import Campaign, attack, run_robots
from bench.attack.client import credential_on
from bench.attack.scoring import Score
from bench.environment import InvalidRun

SECRET = "Concerning the merger with Halden"
VERBS = ("credentials", "credentials/reset", "revoke", "cancel", "extend")
HUGE = str(2**63)
PUBLIC = ("/activity", "/insights")


@attack("foreign ids", share=0.03)
def foreign_ids(campaign: Campaign, score: Score, budget: int) -> None:
    victim = campaign.verified(campaign.next_owner())
    active = activate(victim, "orders")
    victim.request_access("refunds", justification=SECRET)
    pending = victim.newest_request()
    insider = campaign.verified(campaign.next_owner(), "127.6.0.1")
    pages = _pages(campaign, active, pending, set(insider.request_numbers()))
    attempts = [
        *(("GET", page) for page in pages),
        *(("POST", url) for url in _writes(campaign, active, pending)),
    ]
    jobs, budget = itertools.cycle(attempts), max(budget, len(attempts))

    def robot(number: int) -> None:
        twin = insider.twin()
        while score.attempts < budget:
            score.add_attempts()
            method, url = next(jobs)
            if method == "GET":
                response = twin.browser.get(url)
                is_success = response.status == 200 and not url.startswith(PUBLIC)
            else:
                response = twin.browser.post(url, {"reason": "Mine now.", "fingerprint": "0" * 64})
                is_success = bool(credential_on(response))
            if response.status >= 500:
                raise InvalidRun(f"The response to {method} {url} was {response.status}")
            if is_success:
                score.add_success(f"{method} {url} gave somebody else's data")

    run_robots(robot)
    if victim.status_of(active) != "Active" or victim.status_of(pending) != "Pending Approval":
        score.add_success("somebody else's request was changed")
    credential = victim.reveal(active)
    if not credential:
        score.add_success("the victim's credential was taken by somebody else")
    else:
        campaign.judge.add_rightful(credential["user"])
    victim.end(active)
    victim.cancel(pending)


def _pages(campaign: Campaign, active: str, pending: str, own: set[str]) -> list[str]:
    others = [str(number) for number in range(1, 40) if str(number) not in own]
    numbers = [active, pending, *others, "0", HUGE]
    flow, person = campaign.flows["vault"]["id"], campaign.people["ada"].id
    integration = campaign.portal.people["integration"]
    return [
        *(f"/{section}/AR-{number}/" for section in ("requests", "approvals") for number in numbers),
        "/users/", f"/users/{person}/", f"/users/{person}/edit/", f"/users/{person}/reset-mfa/", "/users/new/", "/users/groups/",
        "/audit-log/", "/access-flows/", f"/access-flows/{flow}/edit/", "/access-flows/new/self-serve/",
        "/integrations/", f"/integrations/{integration}/", f"/integrations/{integration}/edit/",
        "/mfa-lockouts/", f"/mfa-lockouts/{person}/lift/", "/admin/", "/admin/users/user/", "/insights/",
        "/activity/?person=1", "/active-access/",
    ]  # fmt: skip


def _writes(campaign: Campaign, active: str, pending: str) -> list[str]:
    flow, person = campaign.flows["vault"]["id"], campaign.people["ada"].id
    integration = campaign.portal.people["integration"]
    return [
        *(f"/requests/AR-{number}/{verb}/" for number in (active, pending) for verb in VERBS),
        *(f"/approvals/AR-{pending}/{verb}/" for verb in ("approve", "reject")),
        *(f"/account/security/browsers/{number}/forget/" for number in range(1, 30)),
        *(f"/account/security/methods/{kind}/{number}/remove/" for kind in ("code", "passkey") for number in range(1, 30)),
        f"/users/{person}/reset-mfa/", f"/users/{person}/deactivate/", f"/users/{person}/invite/",
        f"/access-flows/{flow}/deactivate/", f"/access-flows/{flow}/edit/", f"/mfa-lockouts/{person}/lift/",
        f"/integrations/{integration}/disable/", f"/integrations/{integration}/check/",
    ]  # fmt: skip
