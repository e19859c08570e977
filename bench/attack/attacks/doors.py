"""Other doors: set-up as a way around, steps left out, pages asked for directly."""

from bench.attack.campaign import THREADS, Campaign, attack, many
from bench.attack.moves import begin_set_up, recovery_codes_on
from bench.attack.people import totp
from bench.attack.tally import Score
from bench.attack.visitor import SECURITY, STEP_UP, Visitor

SET_UP = "/account/security/authenticator/"
CONFIRM = SET_UP + "confirm/"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")


@attack("enrolling to get around the code", share=0.01)
def enrol_to_bypass(campaign: Campaign, score: Score, budget: int) -> None:
    """Every step of set-up, by sessions with the password alone of people who are enrolled."""

    def robot() -> None:
        while score.attempts < budget:
            visitor = campaign.signed_in(campaign.robbed(), "127.4.0.1")
            _walk_set_up(visitor, score)
            visitor.browser.close()

    many([robot] * THREADS)


def _walk_set_up(visitor: Visitor, score: Score) -> None:
    secret = begin_set_up(visitor)
    score.tried()
    if secret:
        score.got("somebody enrolled was shown a new key")
    own_code = totp(bytes.fromhex(secret) if secret else bytes(20), visitor.portal.now())
    for method, url, data in (
        ("GET", SET_UP, {}),
        ("POST", SET_UP, {"confirmed": "1"}),
        ("POST", CONFIRM, {"code": own_code, "name": "mine"}),
        ("POST", CONFIRM, {"code": "000000"}),
        ("POST", CONFIRM, {}),
        ("POST", SET_UP + "password/", {"password": visitor.person.password}),
        ("GET", SET_UP, {}),
        ("POST", CONFIRM, {"code": own_code}),
        ("POST", SECURITY + "recovery-codes/", {}),
        ("POST", SECURITY + "browsers/1/forget/", {}),
    ):
        score.tried()
        answer = visitor.browser.post(url, data) if method == "POST" else visitor.browser.get(url)
        if "otpauth://" in answer.text or recovery_codes_on(answer.text):
            score.got(f"{method} {url} showed a secret to a session with the password alone")
    if visitor.window_is_open():
        score.got("set-up opened the window of somebody enrolled")
    visitor.try_code(own_code)
    if visitor.window_is_open():
        score.got("a key of the thief's own was enrolled")


@attack("steps skipped", share=0.02)
def skipped(campaign: Campaign, score: Score, budget: int) -> None:
    """Empty and partial forms, and every protected page directly, with the window closed."""
    admin_pages = _admin_pages(campaign)

    def robot(number: int) -> None:
        while score.attempts < budget:
            visitor = campaign.signed_in(campaign.robbed(), f"127.4.1.{number + 1}")
            _empty_codes(visitor, score)
            _straight_to_access(visitor, score)
            visitor.browser.close()
            admin = campaign.signed_in("ada", f"127.4.2.{number + 1}")
            _admin_with_password_alone(admin, score, admin_pages)
            admin.browser.close()

    many(lambda n=n: robot(n) for n in range(THREADS))


def _empty_codes(visitor: Visitor, score: Score) -> None:
    for data in ({}, {"code": ""}, {"code": " "}, {"code": "null"}, {"code": "000000,000001"},
                 {"code[]": "000000"}, {"verified": "1"}, {"window": "open"}):  # fmt: skip
        score.tried()
        visitor.browser.post(STEP_UP, data)
    for method in METHODS:
        score.tried()
        visitor.browser.send(method, STEP_UP)
    if visitor.window_is_open():
        score.got("an empty step opened the window")


def _straight_to_access(visitor: Visitor, score: Score) -> None:
    """The grant must not come into being; what the target holds is looked at after the attack."""
    for more in (
        {},
        {"require_mfa": "", "status": "granting"},
        {"verified_at": "2030-01-01", "verification": "1"},
        {"window": "open", "mfa": "1"},
    ):
        score.tried()
        visitor.ask_for("ledger", **more)
    number = visitor.newest()
    if number and visitor.status_of(number) not in {"Pending MFA", ""}:
        score.got("a protected request went on without a code")
    for verb in ("credentials", "credentials/reset", "approve", "release", "activate", "extend"):
        score.tried()
        visitor.browser.post(f"/requests/AR-{number or 1}/{verb}/")
    for verb in ("approve", "reject"):
        score.tried()
        visitor.browser.post(f"/approvals/AR-{number or 1}/{verb}/", {"reason": "mine"})


def _admin_pages(campaign: Campaign) -> list[str]:
    flow = campaign.flows["ledger"]["id"]
    person = campaign.people["olga"].id
    return [
        "/admin/", "/admin/users/user/", f"/admin/users/user/{person}/change/", "/admin/auth/group/",
        "/admin/accessflows/accessflow/", "/admin/login/", "/access-flows/new/self-serve/",
        f"/access-flows/{flow}/edit/", f"/access-flows/{flow}/deactivate/", "/integrations/new/",
        f"/integrations/{campaign.portal.people['integration']}/edit/", f"/users/{person}/",
        f"/users/{person}/reset-mfa/", f"/users/{person}/deactivate/", f"/users/{person}/invite/",
        "/users/new/", f"/mfa-lockouts/{person}/lift/",
    ]  # fmt: skip


def _admin_with_password_alone(admin: Visitor, score: Score, pages: list[str]) -> None:
    """An enrolled admin's password alone: no admin page, no form of one, may answer as done."""
    for page in pages:
        score.tried(2)
        answers = [
            admin.browser.get(page),
            admin.browser.post(page, {"reason": "Taken over.", "name": "Owned", "is_active": ""}),
        ]
        for answer in answers:
            inside = answer.status == 200 and "csrfmiddlewaretoken" in answer.text
            if page.startswith("/admin/") and inside:
                score.got(f"Django admin opened {page} without a code")
