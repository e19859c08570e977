"""Races: 32 threads at the same moment where one of them may win."""

from bench.attack.actions import approve, decision_form, reset_mfa
from bench.attack.campaign import RACERS, Campaign, attack, run_at_once
from bench.attack.client import Client, credential_on
from bench.attack.scoring import Score
from bench.environment import InvalidRun, wait_until

TIMEOUT_S = 20
OVER = {"Cancelled", "Revoked", "Lapsed", "Pending MFA", "Failed"}


@attack("race: 32 requests without a code", share=0.003)
def requests_without_code(campaign: Campaign, score: Score, budget: int) -> None:
    """Send them in one session: each must wait for the code. The target is checked afterwards."""
    while score.attempts < max(budget, RACERS):
        client = campaign.signed_in(campaign.next_victim())
        twins = [client.twin() for _ in range(RACERS)]
        run_at_once(lambda t=t: t.request_access("ledger") for t in twins)
        score.add_attempts(RACERS)
        if not {client.status_of(number) for number in client.request_numbers()} <= {"Pending MFA"}:
            score.add_success("a request went on without a code")


@attack("race: one credential shown to 32", share=0.001)
def reveal(campaign: Campaign, score: Score, budget: int) -> None:
    while score.attempts < max(budget, RACERS):
        owner = campaign.verified(campaign.next_owner())
        number = activate(owner, "orders")
        form = owner.request_page(number).form(action="/credentials/")
        twins = [owner.twin() for _ in range(RACERS)]
        pages = run_at_once(lambda t=t, f=form: t.browser.submit(f) for t in twins)
        score.add_attempts(RACERS - 1)
        credentials = [credential for page in pages if (credential := credential_on(page))]
        for credential in credentials:
            campaign.judge.add_rightful(credential["user"])
        if len(credentials) > 1:
            score.add_success(f"one credential was shown {len(credentials)} times")
        owner.end(number)


@attack("race: 32 approvals of one request", share=0.001)
def approvals(campaign: Campaign, score: Score, budget: int) -> None:
    """Two approvers use 16 threads each; one login may come of it."""
    approvers = [campaign.verified(name, "127.0.0.3") for name in ("pia", "paul")]
    while score.attempts < max(budget, RACERS):
        owner = campaign.verified(campaign.next_owner())
        before = campaign.target.count("refunds")
        owner.request_access("refunds")
        number = owner.newest_request()
        forms = [(approver, decision_form(approver, number)) for approver in approvers]
        twins = [(approver.twin(), form) for approver, form in forms * (RACERS // 2)]
        run_at_once(lambda a=a, f=f, n=number: approve(a, f, n) for a, f in twins)
        score.add_attempts(RACERS - 1)
        wait_until_active(owner, number)
        if campaign.target.count("refunds") - before > 1:
            score.add_success("one approved request made several logins")
        owner.end(number)
        _wait_for_logins(campaign, "refunds", before)


@attack("race: approval against withdrawal", share=0.0005)
def approval_against_withdrawal(campaign: Campaign, score: Score, budget: int) -> None:
    """Whichever wins: a request that is cancelled must leave nothing on the target."""
    approver = campaign.verified("pia", "127.0.0.3")
    while score.attempts < max(budget, 6):
        owner = campaign.verified(campaign.next_owner())
        before = campaign.target.count("refunds")
        owner.request_access("refunds")
        number = owner.newest_request()
        form, twin = decision_form(approver, number), approver.twin()
        owners = [owner.twin(), owner.twin()]
        calls = [lambda t=t, n=number: t.cancel(n) for t in owners]
        run_at_once([*calls, lambda t=twin, f=form, n=number: approve(t, f, n)])
        score.add_attempts(2)
        if owner.status_of(number) not in {"Cancelled", "Rejected"}:
            owner.end(number)
        if not _wait_for_logins(campaign, "refunds", before):
            score.add_success("a withdrawn request left a login on the target")


@attack("race: reset against release", share=0.0005)
def reset_against_release(campaign: Campaign, score: Score, budget: int) -> None:
    """Enter a code at the moment of a reset that also ends all access: nothing may stay active."""
    while score.attempts < max(budget, 12):
        person = campaign.take_person()
        owner = campaign.signed_in(person)
        owner.request_access("orders")
        number = owner.newest_request()
        sessions = [campaign.signed_in(person, f"127.5.0.{n}") for n in range(1, 4)]
        code, admin = owner.code(), campaign.admin()
        calls = [lambda s=session, c=code: s.submit_code(c) for session in sessions]
        twin = admin.twin()
        run_at_once([*calls, lambda a=twin, p=person: reset_mfa(a, p, revoke_access=True)])
        score.add_attempts(len(sessions))
        for session in sessions:
            if session.is_signed_in() or session.window_is_open():
                score.add_success("a session outlived the reset it raced with")
        if not wait_until(lambda n=number, a=admin: a.status_of(n) in OVER, timeout_s=TIMEOUT_S):
            status = admin.status_of(number)
            score.add_success(f"access was {status} after a reset that ends all access")


def activate(owner: Client, name: str) -> str:
    """Request access through an open window, wait until it is active, and return its number."""
    owner.request_access(name)
    number = owner.newest_request()
    wait_until_active(owner, number)
    return number


def wait_until_active(owner: Client, number: str) -> None:
    if not wait_until(lambda: owner.status_of(number) == "Active", timeout_s=TIMEOUT_S):
        raise InvalidRun(f"AR-{number} is {owner.status_of(number)!r}, not Active")


def _wait_for_logins(campaign: Campaign, name: str, number: int) -> bool:
    return wait_until(lambda: campaign.target.count(name) <= number, timeout_s=TIMEOUT_S)
