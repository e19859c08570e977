"""Bypass routes: set-up as a way around, steps left out, pages requested directly."""

from dataclasses import replace

from bench.attack.actions import SET_UP, begin_set_up, recovery_codes_on
from bench.attack.campaign import Campaign, attack, run_robots
from bench.attack.client import SECURITY, STEP_UP, Client
from bench.attack.scoring import Score

CONFIRM = SET_UP + "confirm/"
NO_SECRET = "A" * 32
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")


@attack("enrolling to get around the code", share=0.01)
def enrol_to_bypass(campaign: Campaign, score: Score, budget: int) -> None:
    """Attempt every step of set-up in sessions with the password alone of people who are enrolled."""

    def robot(number: int) -> None:
        while score.attempts < budget:
            client = campaign.signed_in(campaign.next_victim(), "127.4.0.1")
            _try_set_up(client, score)
            client.browser.close()

    run_robots(robot)


def _try_set_up(client: Client, score: Score) -> None:
    secret = begin_set_up(client)
    score.add_attempts()
    if secret:
        score.add_success("somebody enrolled was shown a new key")
    code = replace(client.person, secret=secret or NO_SECRET).code(client.portal.now())
    for method, url, data in (
        ("GET", SET_UP, {}),
        ("POST", SET_UP, {"confirmed": "1"}),
        ("POST", CONFIRM, {"code": code, "name": "mine"}),
        ("POST", CONFIRM, {"code": "000000"}),
        ("POST", CONFIRM, {}),
        ("POST", SET_UP + "password/", {"password": client.person.password}),
        ("GET", SET_UP, {}),
        ("POST", CONFIRM, {"code": code}),
        ("POST", SECURITY + "recovery-codes/", {}),
        ("POST", SECURITY + "browsers/1/forget/", {}),
    ):
        score.add_attempts()
        page = client.browser.post(url, data) if method == "POST" else client.browser.get(url)
        if "otpauth://" in page.text or recovery_codes_on(page):
            score.add_success(
                f"{method} {url} showed a secret to a session with the password alone"
            )
    if client.window_is_open():
        score.add_success("set-up opened the window of somebody enrolled")
    client.submit_code(code)
    if client.window_is_open():
        score.add_success("a key of the thief's own was enrolled")


@attack("steps skipped", share=0.02)
def skipped(campaign: Campaign, score: Score, budget: int) -> None:
    """Send empty and partial forms, and request every protected page, with the window closed."""
    pages = admin_pages(campaign)

    def robot(number: int) -> None:
        while score.attempts < budget:
            client = campaign.signed_in(campaign.next_victim(), f"127.4.1.{number + 1}")
            _submit_empty_codes(client, score)
            _request_without_code(client, score)
            client.browser.close()
            admin = campaign.signed_in("ada", f"127.4.2.{number + 1}")
            _administrate_without_code(admin, score, pages)
            admin.browser.close()

    run_robots(robot)


def _submit_empty_codes(client: Client, score: Score) -> None:
    for data in ({}, {"code": ""}, {"code": " "}, {"code": "null"}, {"code": "000000,000001"},
                 {"code[]": "000000"}, {"verified": "1"}, {"window": "open"}):  # fmt: skip
        score.add_attempts()
        client.browser.post(STEP_UP, data)
    for method in METHODS:
        score.add_attempts()
        client.browser.send(method, STEP_UP)
    if client.window_is_open():
        score.add_success("an empty step opened the window")


def _request_without_code(client: Client, score: Score) -> None:
    """No grant may be created; the target is checked after the attack."""
    for more in ({}, {"require_mfa": "", "status": "granting"}, {"window": "open", "mfa": "1"},
                 {"verified_at": "2030-01-01", "verification": "1"}):  # fmt: skip
        score.add_attempts()
        client.request_access("ledger", **more)
    number = client.newest_request()
    if number and client.status_of(number) not in {"Pending MFA", ""}:
        score.add_success("a protected request went on without a code")
    for verb in ("credentials", "credentials/reset", "approve", "release", "activate", "extend"):
        score.add_attempts()
        client.browser.post(f"/requests/AR-{number or 1}/{verb}/")
    for verb in ("approve", "reject"):
        score.add_attempts()
        client.browser.post(f"/approvals/AR-{number or 1}/{verb}/", {"reason": "mine"})


def admin_pages(campaign: Campaign) -> list[str]:
    flow, person = campaign.flows["ledger"]["id"], campaign.people["olga"].id
    return [
        "/admin/", "/admin/users/user/", f"/admin/users/user/{person}/change/", "/admin/auth/group/",
        "/admin/accessflows/accessflow/", "/admin/login/", "/access-flows/new/self-serve/",
        f"/access-flows/{flow}/edit/", f"/access-flows/{flow}/deactivate/", "/integrations/new/",
        f"/integrations/{campaign.portal.people['integration']}/edit/", f"/users/{person}/edit/",
        f"/users/{person}/reset-mfa/", f"/users/{person}/deactivate/", f"/users/{person}/invite/",
        "/users/new/", f"/mfa-lockouts/{person}/lift/",
    ]  # fmt: skip


def _administrate_without_code(admin: Client, score: Score, pages: list[str]) -> None:
    """With an enrolled admin's password alone, no page of Django admin may open.

    What a form of the portal's own pages did shows in the settings.
    """
    for page in pages:
        score.add_attempts(2)
        data = {"reason": "Taken over.", "name": "Owned", "is_active": ""}
        for response in (admin.browser.get(page), admin.browser.post(page, data)):
            opened = response.status == 200 and "csrfmiddlewaretoken" in response.text
            if page.startswith("/admin/") and opened:
                score.add_success(f"Django admin opened {page} without a code")
