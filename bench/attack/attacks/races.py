"""Races: 32 threads at the same moment where one of them may win."""

from bench.attack.campaign import RACERS, Campaign, Unexpected, at_once, attack, until
from bench.attack.moves import decide, decision_form, reset_mfa
from bench.attack.tally import Score
from bench.attack.visitor import Visitor, credential_on

PATIENCE_S = 20


@attack("race: 32 requests without a code", share=0.003)
def requests_without_code(campaign: Campaign, score: Score, budget: int) -> None:
    """All at once, in one session: each must be pending_mfa. What the target holds is looked at after."""
    while score.attempts < max(budget, RACERS):
        visitor = campaign.signed_in(campaign.robbed())
        twins = [visitor.twin() for _ in range(RACERS)]
        at_once([lambda t=twin: t.ask_for("ledger") for twin in twins])  # type: ignore[misc]
        score.tried(RACERS)
        if not {visitor.status_of(n) for n in visitor.references()} <= {"Pending MFA"}:
            score.got("a request went on without a code")


@attack("race: one credential shown to 32", share=0.001)
def reveal(campaign: Campaign, score: Score, budget: int) -> None:
    while score.attempts < max(budget, RACERS):
        owner = campaign.verified(campaign.owner())
        number = open_access(owner, "orders")
        form = owner.request_page(number).form_to("/credentials/")
        twins = [owner.twin() for _ in range(RACERS)]
        answers = at_once([lambda t=twin, f=form: t.browser.submit(f) for twin in twins])  # type: ignore[misc]
        score.tried(RACERS - 1)
        shown = [found for answer in answers if (found := credential_on(answer.text))]
        for credential in shown:
            campaign.judge.rightful(credential["user"])
        if len(shown) > 1:
            score.got(f"one credential was shown {len(shown)} times")
        owner.end(number)


@attack("race: 32 approvals of one request", share=0.001)
def approvals(campaign: Campaign, score: Score, budget: int) -> None:
    """Two approvers, 16 threads each; one login may come of it."""
    approvers = [campaign.verified(name, "127.0.0.3") for name in ("pia", "paul")]
    while score.attempts < max(budget, RACERS):
        owner = campaign.verified(campaign.owner())
        before = campaign.judge.count("refunds")
        owner.ask_for("refunds")
        number = owner.newest()
        forms = [decision_form(approver, number) for approver in approvers]
        pairs = [*zip(approvers, forms, strict=True)] * (RACERS // 2)
        twins = [(approver.twin(), form) for approver, form in pairs]
        at_once([lambda a=twin, f=form: decide(a, f, "approve") for twin, form in twins])  # type: ignore[misc]
        score.tried(RACERS - 1)
        if not until(lambda: owner.status_of(number) == "Active", patience_s=PATIENCE_S):  # noqa: B023
            raise Unexpected(f"An approved request is {owner.status_of(number)}")
        if campaign.judge.count("refunds") - before > 1:
            score.got("one approved request made several logins")
        owner.end(number)
        until(lambda: campaign.judge.count("refunds") == before, patience_s=PATIENCE_S)  # noqa: B023


@attack("race: approval against withdrawal", share=0.0005)
def approval_against_withdrawal(campaign: Campaign, score: Score, budget: int) -> None:
    """Whichever came first: a request that says Cancelled must leave nothing on the target."""
    approver = campaign.verified("pia", "127.0.0.3")
    while score.attempts < max(budget, 6):
        owner = campaign.verified(campaign.owner())
        before = campaign.judge.count("refunds")
        owner.ask_for("refunds")
        number = owner.newest()
        form = decision_form(approver, number)
        twins = [owner.twin() for _ in range(2)]
        at_once(
            [
                lambda: decide(approver.twin(), form, "approve"),  # noqa: B023
                lambda: twins[0].browser.post(f"/requests/AR-{number}/cancel/"),  # noqa: B023
                lambda: twins[1].browser.post(f"/requests/AR-{number}/cancel/"),  # noqa: B023
            ]
        )
        score.tried(2)
        if owner.status_of(number) not in {"Cancelled", "Rejected"}:
            owner.end(number)
        if not until(lambda: campaign.judge.count("refunds") <= before, patience_s=PATIENCE_S):  # noqa: B023
            score.got("a withdrawn request left a login on the target")


@attack("race: reset against release", share=0.0005)
def reset_against_release(campaign: Campaign, score: Score, budget: int) -> None:
    """A code entered at the moment of a reset that also ends all access: nothing may stay open."""
    while score.attempts < max(budget, 12):
        person = campaign.spend()
        owner = campaign.signed_in(person)
        owner.ask_for("orders")
        number = owner.newest()
        sessions = [campaign.signed_in(person, f"127.5.0.{n}") for n in range(1, 4)]
        code, admin = owner.code(), campaign.admin()
        calls = [lambda s=session, c=code: s.try_code(c) for session in sessions]  # type: ignore[misc]
        at_once([*calls, lambda: reset_mfa(admin.twin(), person, revoke_access=True)])  # noqa: B023
        score.tried(len(sessions))
        for session in sessions:
            if session.is_signed_in() or session.window_is_open():
                score.got("a session outlived the reset it raced with")
        over = {"Cancelled", "Revoked", "Lapsed", "Pending MFA", "Failed"}
        if not until(lambda: admin.status_of(number) in over, patience_s=PATIENCE_S):  # noqa: B023
            score.got(f"access was {admin.status_of(number)} after a reset that ends all access")


def open_access(owner: Visitor, name: str) -> str:
    """Request through an open window, and wait until access is open."""
    owner.ask_for(name)
    number = owner.newest()
    if not until(lambda: owner.status_of(number) == "Active", patience_s=PATIENCE_S):
        raise Unexpected(f"{name}: AR-{number} is {owner.status_of(number)!r}, not Active")
    return number
