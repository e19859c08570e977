"""Forms with more in them than the page offers."""

import itertools

from bench.attack.campaign import Campaign, attack, run_robots
from bench.attack.client import Client
from bench.attack.scoring import Score

# Everything a model has that a form must not set, as robots guess it.
EXTRA = {
    "status": "granting", "require_mfa": "", "verified_at": "2026-01-01 00:00", "verification": "1",
    "verification_id": "1", "verified_with": "app", "approval": "automatic", "max_duration": "999:00:00",
    "flow_fingerprint": "0" * 64, "flow_version": "99", "requester": "1", "requester_id": "1",
    "pending_until": "2036-01-01", "starts_at": "2026-01-01", "ends_at": "2036-01-01", "final_status": "expired",
    "approver": "1", "decisions": "approve", "verdict": "approve", "fingerprint": "0" * 64,
    "is_active": "on", "role": "admin", "is_staff": "on", "is_superuser": "on", "groups": "1",
    "epoch": "0", "mfa_epoch": "0", "confirmed": "1", "key": "0" * 40, "device_id": "1", "scope": "trusted:1",
    "allow_self_approval": "on", "email": "owned@example.org", "password": "owned-by-a-robot-1",
}  # fmt: skip


@attack("tampering with pending requests", share=0.01)
def pending(campaign: Campaign, score: Score, budget: int) -> None:
    """Make one, then try to make it another flow's, longer, somebody else's, or approved."""

    def robot(number: int) -> None:
        while score.attempts < budget:
            client = campaign.signed_in(campaign.next_victim(), f"127.7.0.{number + 1}")
            _tamper(campaign, client, score)
            client.browser.close()

    run_robots(robot)


def _tamper(campaign: Campaign, client: Client, score: Score) -> None:
    ledger, vault = campaign.flows["ledger"], campaign.flows["vault"]
    durations = ("9h", "-1h", "0", "1e9", "NaN", "2h", "1h 1m", "61", "\u0663\u0660m")
    changes: list[dict[str, str | list[str]]] = [{"duration": text} for text in durations]
    changes += [
        {"target": str(vault["target"])}, {"target": "-1"}, {"target": "1 OR 1=1"}, {"target": str(2**70)},
        {"target": [str(ledger["target"]), str(vault["target"])]},
        {"target": str(vault["target"]), "flow": str(vault["id"])},
        {"target": [str(number) for number in range(1, 60)]}, {"ticket": "a,b,c,d,e,f"}, dict(EXTRA),
        {"justification": "{0.__class__} <script>alert(1)</script> \u202e =1+1"},
    ]  # fmt: skip
    for change in changes:
        score.add_attempts()
        response = client.request_access("ledger", **change)
        is_harmless = "justification" in change or change == EXTRA
        if response.status == 302 and not is_harmless:
            score.add_success(f"a request was accepted with {change}")
    number = client.newest_request()
    for verb, more in itertools.product(("", "cancel/", "revoke/", "extend/"), ({}, EXTRA)):
        if verb == "cancel/" and not more:
            continue  # withdrawing one's own request is no attack
        score.add_attempts()
        client.browser.post(f"/requests/AR-{number}/{verb}", {"flow": str(vault["id"]), **more})
    statuses = {client.status_of(number) for number in client.request_numbers()[:5]}
    if not statuses <= {"Pending MFA", "Cancelled"}:
        score.add_success("a pending request went on without a code")


@attack("mass assignment", share=0.01)
def mass_assignment(campaign: Campaign, score: Score, budget: int) -> None:
    """Send every field of every model to every form a member may post. Changes show to admins."""
    urls = [
        "/account/password/", "/account/step-up/", "/account/security/close-window/", "/theme/",
        "/account/security/authenticator/", "/account/security/authenticator/confirm/",
        "/account/security/authenticator/password/", "/account/security/recovery-codes/", "/requests/new/",
        "/sign-in/",
    ]  # fmt: skip

    def robot(number: int) -> None:
        turn = number
        while score.attempts < budget:
            turn += 1
            client = campaign.signed_in(campaign.next_victim(), f"127.7.1.{number + 1}")
            for url in urls:
                score.add_attempts()
                client.browser.post(url, EXTRA)
            for name, value in itertools.islice(EXTRA.items(), turn % 30, turn % 30 + 4):
                score.add_attempts()
                client.request_access("payroll", **{name: value})
            if client.browser.get("/users/").status == 200:
                score.add_success("a member made an admin of themselves")
            if client.window_is_open():
                score.add_success("a form opened the window")
            client.browser.close()

    run_robots(robot)
