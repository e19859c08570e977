"""Protected deeds with a closed window: by a thief with the password, by an approver, an hour later."""

from bench.attack.attacks.races import open_access
from bench.attack.campaign import Campaign, Unexpected, attack
from bench.attack.moves import decide, decision_form
from bench.attack.tally import Score
from bench.attack.visitor import Visitor

HOUR_S = 3600


@attack("credentials without a window", share=0.0005)
def reveal(campaign: Campaign, score: Score, budget: int) -> None:
    """Access is open, rightfully; a session with the password alone asks for its credential."""
    owner = campaign.verified(campaign.owner())
    number = open_access(owner, "orders")
    for turn in range(max(budget, 4)):
        thief = campaign.signed_in(owner.person, f"127.4.3.{turn % 200 + 1}")
        score.tried()
        if thief.reveal(number):
            score.got("a credential was shown to a session without a window")
            break
    campaign.judge.rightful(owner.reveal(number).get("user", ""))
    score.tried()
    if campaign.signed_in(owner.person, "127.4.3.201").replace_credential(number):
        score.got("a credential was replaced by a session without a window")
    owner.end(number)


@attack("decisions without a window, and on one's own request", share=0.0005)
def decisions(campaign: Campaign, score: Score, budget: int) -> None:
    """What comes of an approval of payroll shows on the target."""
    owner, approver = campaign.verified(campaign.owner()), campaign.verified("pia", "127.0.0.3")
    while score.attempts < max(budget, 4):
        owner.ask_for("payroll")
        number = owner.newest()
        thief = campaign.signed_in("paul", "127.4.4.1")
        score.tried()
        decide(thief, decision_form(thief, number), "approve")
        _look(owner, score, number, "a decision was taken without the approver's code")
        owner.browser.post(f"/requests/AR-{number}/cancel/")
        _approve_own(campaign, score, approver)


def _approve_own(campaign: Campaign, score: Score, approver: Visitor) -> None:
    foreign = campaign.verified(campaign.owner())
    foreign.ask_for("payroll")
    pattern = decision_form(approver, foreign.newest())
    foreign.browser.post(f"/requests/AR-{foreign.newest()}/cancel/")
    approver.ask_for("payroll")
    number = approver.newest()
    pattern.action = f"/approvals/AR-{number}/"
    score.tried()
    offered = approver.browser.get(pattern.action).forms()  # none, unless the page is shown
    own = next((form for form in offered if "fingerprint" in form.names), pattern)
    own.action = pattern.action
    decide(approver, own, "approve")
    _look(approver, score, number, "an approver approved a request of their own")
    approver.browser.post(f"/requests/AR-{number}/cancel/")


def _look(visitor: Visitor, score: Score, number: str, otherwise: str) -> None:
    if visitor.status_of(number) != "Pending Approval":
        score.got(otherwise)


@attack("an hour later", share=0.0002, moves_clock=True)
def an_hour_later(campaign: Campaign, score: Score, budget: int) -> None:
    """One second before the hour is over the window is open, at the hour it is closed."""
    visitor = campaign.verified(campaign.owner())
    approver = campaign.verified("pia", "127.0.0.3")
    number, shown = open_access(visitor, "orders"), open_access(visitor, "orders")
    campaign.judge.rightful(visitor.reveal(shown).get("user", ""))
    campaign.portal.move_clock(HOUR_S - 90)
    if not visitor.window_is_open():
        raise Unexpected("The window closed before its hour was over")
    campaign.portal.move_clock(91)
    score.tried(4)
    if visitor.window_is_open() or approver.window_is_open():
        score.got("a window was open after its hour")
    if visitor.reveal(number) or visitor.replace_credential(shown):
        score.got("a credential was shown after the hour")
    visitor.ask_for("orders")
    if visitor.status_of(visitor.newest()) != "Pending MFA":
        score.got("a request went on after the hour")
    for each in (number, shown):
        visitor.end(each)
