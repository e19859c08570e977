"""Protected actions with a closed window: by a thief with the password, by an approver, an hour later."""

from bench.attack.actions import approve, decision_form
from bench.attack.attacks.races import activate
from bench.attack.campaign import Campaign, attack
from bench.attack.client import Client
from bench.attack.scoring import Score
from bench.environment import InvalidRun

HOUR_S = 3600


@attack("credentials without a window", share=0.0005)
def reveal(campaign: Campaign, score: Score, budget: int) -> None:
    """Access is active, rightfully; a session with the password alone asks for its credential."""
    owner = campaign.verified(campaign.next_owner())
    number = activate(owner, "orders")
    for turn in range(max(budget, 4)):
        thief = campaign.signed_in(owner.person, f"127.4.3.{turn % 200 + 1}")
        score.add_attempts()
        if thief.reveal(number):
            score.add_success("a credential was revealed to a session without a window")
            break
    campaign.judge.add_rightful(owner.reveal(number).get("user", ""))
    score.add_attempts()
    if campaign.signed_in(owner.person, "127.4.3.201").replace_credential(number):
        score.add_success("a credential was replaced by a session without a window")
    owner.end(number)


@attack("decisions without a window, and on one's own request", share=0.0005)
def decisions(campaign: Campaign, score: Score, budget: int) -> None:
    """An approval of payroll would also show on the target."""
    owner, approver = (
        campaign.verified(campaign.next_owner()),
        campaign.verified("pia", "127.0.0.3"),
    )
    while score.attempts < max(budget, 4):
        owner.request_access("payroll")
        number = owner.newest_request()
        thief = campaign.signed_in("paul", "127.4.4.1")
        score.add_attempts()
        approve(thief, decision_form(thief, number), number)
        _expect_pending(owner, score, number, "a request was approved without the approver's code")
        owner.cancel(number)
        _approve_own(campaign, score, approver)


def _approve_own(campaign: Campaign, score: Score, approver: Client) -> None:
    other = campaign.verified(campaign.next_owner())
    other.request_access("payroll")
    form = decision_form(approver, other.newest_request())
    other.cancel(other.newest_request())
    approver.request_access("payroll")
    number = approver.newest_request()
    score.add_attempts()
    page = approver.browser.get(f"/approvals/AR-{number}/")  # without a form, unless it is shown
    form = next((own for own in page.forms() if "fingerprint" in own.names), form)
    approve(approver, form, number)
    _expect_pending(approver, score, number, "an approver approved a request of their own")
    approver.cancel(number)


def _expect_pending(client: Client, score: Score, number: str, otherwise: str) -> None:
    if client.status_of(number) != "Pending Approval":
        score.add_success(otherwise)


@attack("an hour later", share=0.0002, runs_alone=True)
def an_hour_later(campaign: Campaign, score: Score, budget: int) -> None:
    """One second before the hour is over the window is open, at the hour it is closed."""
    client = campaign.verified(campaign.next_owner())
    approver = campaign.verified("pia", "127.0.0.3")
    number, revealed = activate(client, "orders"), activate(client, "orders")
    campaign.judge.add_rightful(client.reveal(revealed).get("user", ""))
    campaign.portal.move_clock(HOUR_S - 90)
    if not client.window_is_open():
        raise InvalidRun("The window closed before its hour was over")
    campaign.portal.move_clock(91)
    score.add_attempts(4)
    if client.window_is_open() or approver.window_is_open():
        score.add_success("a window was open after its hour")
    if client.reveal(number) or client.replace_credential(revealed):
        score.add_success("a credential was revealed after the hour")
    client.request_access("orders")
    if client.status_of(client.newest_request()) != "Pending MFA":
        score.add_success("a request went on after the hour")
    client.end(number)
    client.end(revealed)
