"""Forms with more in them than the page offers: pending_mfa requests, decisions, everything else."""

import itertools

from bench.attack.campaign import THREADS, Campaign, attack, many
from bench.attack.tally import Score
from bench.attack.visitor import Visitor

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


@attack("tampering with pending_mfa requests", share=0.01)
def pending_mfa(campaign: Campaign, score: Score, budget: int) -> None:
    """Park one, then try to make it another flow's, longer, somebody else's, or approved."""

    def robot(number: int) -> None:
        while score.attempts < budget:
            visitor = campaign.signed_in(campaign.robbed(), f"127.7.0.{number + 1}")
            _tamper(campaign, visitor, score)
            visitor.browser.close()

    many(lambda n=n: robot(n) for n in range(THREADS))


def _tamper(campaign: Campaign, visitor: Visitor, score: Score) -> None:
    ledger, vault = campaign.flows["ledger"], campaign.flows["vault"]
    changes: list[dict[str, str | list[str]]] = [
        {"duration": text}
        for text in ("9h", "-1h", "0", "1e9", "NaN", "2h", "1h 1m", "61", "\u0663\u0660m")
    ]
    changes += [
        {"target": str(vault["target"])},
        {"target": [str(ledger["target"]), str(vault["target"])]},
        {"target": str(vault["target"]), "flow": str(vault["id"])},
        {"target": [str(number) for number in range(1, 60)]},
        {"target": "-1"},
        {"target": "1 OR 1=1"},
        {"target": str(2**70)},
        {"ticket": "a,b,c,d,e,f"},
        dict(EXTRA),
        {"justification": "{0.__class__} <script>alert(1)</script> \u202e =1+1"},
    ]
    for change in changes:
        score.tried()
        answer = visitor.ask_for("ledger", **change)
        harmless = "justification" in change or change == EXTRA
        if answer.status == 302 and not harmless:
            score.got(f"a request was taken on with {change}")
    number = visitor.newest()
    for verb, more in itertools.product(("", "edit/", "cancel/", "end/", "extend/"), ({}, EXTRA)):
        if verb == "cancel/" and not more:
            continue  # withdrawing one's own request is no attack
        score.tried()
        visitor.browser.post(f"/requests/AR-{number}/{verb}", {"flow": str(vault["id"]), **more})
    if not {visitor.status_of(n) for n in visitor.references()[:5]} <= {"Pending MFA", "Cancelled"}:
        score.got("a pending_mfa request went on without a code")


@attack("mass assignment", share=0.01)
def mass_assignment(campaign: Campaign, score: Score, budget: int) -> None:
    """Every field of every model, sent to every form a member may post. What changed shows to admins."""
    urls = [
        "/account/password/", "/account/step-up/", "/account/security/close-window/", "/theme/",
        "/account/security/authenticator/", "/account/security/authenticator/confirm/",
        "/account/security/authenticator/password/", "/account/security/recovery-codes/", "/requests/new/",
        "/sign-in/",
    ]  # fmt: skip

    def robot(number: int) -> None:
        for turn in itertools.count():
            if score.attempts >= budget:
                return
            visitor = campaign.signed_in(campaign.robbed(), f"127.7.1.{number + 1}")
            for url in urls:
                score.tried()
                visitor.browser.post(url, EXTRA)
            for name, value in itertools.islice(EXTRA.items(), turn % 30, turn % 30 + 4):
                score.tried()
                visitor.ask_for("payroll", **{name: value})
            if visitor.browser.get("/users/").status == 200:
                score.got("a member made an admin of themselves")
            if visitor.window_is_open():
                score.got("a form opened the window")
            visitor.browser.close()

    many(lambda n=n: robot(n) for n in range(THREADS))
