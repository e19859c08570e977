"""Other people's things: requests, credentials, decisions, devices, people, flows, by their numbers.

The insider here is a colleague with an open window of their own, which is more than a thief has.
"""

import itertools
from collections.abc import Callable

from bench.attack.attacks.races import open_access
from bench.attack.campaign import THREADS, Campaign, Unexpected, attack, many
from bench.attack.tally import Score
from bench.attack.visitor import Visitor, credential_on

SECRET_WORDS = "Concerning the merger with Halden"
VERBS = ("credentials", "credentials/reset", "end", "cancel", "extend", "approve")
HUGE = str(2**63)


@attack("foreign ids", share=0.03)
def foreign_ids(campaign: Campaign, score: Score, budget: int) -> None:
    victim = campaign.verified(campaign.owner())
    opened = open_access(victim, "orders")
    victim.ask_for("refunds", justification=SECRET_WORDS)
    undecided = victim.newest()
    insider = campaign.verified(campaign.owner(), "127.6.0.1")
    own = set(insider.references())
    attempts = _tries(campaign, opened, undecided, own)
    jobs, budget = itertools.cycle(attempts), max(budget, len(attempts))

    def robot() -> None:
        twin = insider.twin()
        while score.attempts < budget:
            score.tried()
            next_job = next(jobs)
            if found := next_job(twin):
                score.got(found)

    many([robot] * THREADS)
    if victim.status_of(opened) != "Active" or victim.status_of(undecided) != "Pending Approval":
        score.got("somebody else's request was changed")
    credential = victim.reveal(opened)
    if not credential:
        score.got("the victim's credential was taken by somebody else")
    else:
        campaign.judge.rightful(credential["user"])
    victim.end(opened)
    victim.browser.post(f"/requests/AR-{undecided}/cancel/")


def _tries(
    campaign: Campaign, opened: str, undecided: str, own: set[str]
) -> list[Callable[[Visitor], str]]:
    others = [str(number) for number in range(1, 40) if str(number) not in own]
    numbers = [opened, undecided, *others, "0", HUGE]
    flow, person = campaign.flows["vault"]["id"], campaign.people["ada"].id
    pages = [f"/requests/AR-{number}/" for number in numbers]
    pages += [f"/approvals/AR-{number}/" for number in numbers]
    admin_pages = [
        "/users/", f"/users/{person}/", f"/users/{person}/reset-mfa/", "/users/new/", "/users/groups/",
        "/audit-log/", "/access-flows/", f"/access-flows/{flow}/edit/", "/access-flows/new/self-serve/",
        "/integrations/", f"/integrations/{campaign.portal.people['integration']}/", "/mfa-lockouts/",
        f"/integrations/{campaign.portal.people['integration']}/edit/", "/admin/", "/admin/users/user/",
        f"/mfa-lockouts/{person}/lift/", "/insights/", "/activity/?person=1",
    ]  # fmt: skip
    posts = [f"/requests/AR-{n}/{verb}/" for n in (opened, undecided) for verb in VERBS]
    posts += [f"/approvals/AR-{undecided}/{verb}/" for verb in ("approve", "reject")]
    posts += [f"/account/security/browsers/{number}/forget/" for number in range(1, 30)]
    posts += [
        f"/users/{person}/reset-mfa/", f"/users/{person}/deactivate/", f"/users/{person}/invite/",
        f"/access-flows/{flow}/deactivate/", f"/access-flows/{flow}/edit/", f"/mfa-lockouts/{person}/lift/",
        f"/integrations/{campaign.portal.people['integration']}/disable/",
        f"/integrations/{campaign.portal.people['integration']}/check/",
    ]  # fmt: skip
    return [
        *map(_reader, pages + admin_pages),
        *map(_writer, posts),
    ]


def _reader(page: str) -> Callable[[Visitor], str]:
    def read(insider: Visitor) -> str:
        answer = insider.browser.get(page)
        _no_error(answer.status, page)
        public = page.startswith(("/activity", "/insights"))
        return f"{page} was shown" if answer.status == 200 and not public else ""

    return read


def _writer(url: str) -> Callable[[Visitor], str]:
    def write(insider: Visitor) -> str:
        answer = insider.browser.post(url, {"reason": "Mine now.", "fingerprint": "0" * 64})
        _no_error(answer.status, url)
        return f"{url} gave a credential" if credential_on(answer.text) else ""

    return write


def _no_error(status: int, url: str) -> None:
    if status >= 500:
        raise Unexpected(f"{url} answered {status}")
