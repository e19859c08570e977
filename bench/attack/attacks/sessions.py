"""Sessions: made-up, stale, copied and planted cookies; what a reset and other ends leave alive."""

import itertools
import secrets
from collections.abc import Callable

from bench.attack.actions import change_password, deactivate, reset_mfa
from bench.attack.campaign import THREADS, Campaign, attack, run_robots
from bench.attack.client import SECURITY, SIGN_IN, Client
from bench.attack.scoring import Score

PROTECTED = ("/", "/requests/", SECURITY, "/approvals/", "/users/", "/admin/", "/audit-log/")
KEY_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


@attack("session cookies, made up", share=0.36)
def made_up(campaign: Campaign, score: Score, budget: int) -> None:
    """Attempt session keys that nobody was given: random ones, near misses of a real one, and oddities."""
    real = campaign.signed_in(campaign.next_owner()).browser.cookies["session"]
    odd = ("", "0", "null", "a" * 4000, "../../etc/passwd", "%00", real.upper(), real[:-1], real + "0")  # fmt: skip

    def robot(number: int) -> None:
        browser = campaign.portal.browser(f"127.8.0.{number + 1}")
        for turn in range(budget // THREADS + 1):
            near = real[:-1] + secrets.choice(KEY_CHARACTERS)
            near = near if near != real else real[::-1]
            keys = (secrets.token_hex(16), near, odd[turn % len(odd)])
            browser.cookies = {"session": keys[turn % 3]}
            score.add_attempts()
            if browser.get(PROTECTED[turn % len(PROTECTED)]).status == 200:
                score.add_success("a made-up session cookie was accepted")

    run_robots(robot)


@attack("session cookies, stale and copied", share=0.01)
def stale(campaign: Campaign, score: Score, budget: int) -> None:
    """Copies made before a code, a closed window or a sign-out must not gain or keep anything."""
    while score.attempts < budget or not score.attempts:
        client = campaign.signed_in(campaign.next_owner())
        before_code = client.twin()
        if not client.verify():
            continue
        with_window = client.twin()
        _expect_no_window(score, before_code, "a copy made before the code shares the window")
        client.browser.post("/account/security/close-window/")
        _expect_no_window(score, with_window, "a copied cookie kept a window that was closed")
        signed_in, old = client.twin(), client.browser.cookies["session"]
        client.sign_out()
        _expect_signed_out(score, signed_in, "a copied session survived the sign-out")
        again = campaign.signed_in(client.person)
        again.browser.cookies["session"] = old
        _expect_signed_out(score, again, "an old cookie was revived by a new sign-in")


@attack("session fixation", share=0.01)
def fixation(campaign: Campaign, score: Score, budget: int) -> None:
    """Plant a session in somebody's browser before they sign in, or before they enter a code."""
    while score.attempts < budget or not score.attempts:
        thief, victim = (campaign.client(campaign.next_owner()) for _ in range(2))
        thief.browser.get("/sign-in/?next=/requests/")
        planted = thief.browser.cookies.get("session") or secrets.token_hex(16)
        for cookies in (thief.browser.cookies, victim.browser.cookies):
            cookies["session"] = planted
        if not victim.sign_in():
            continue
        _expect_signed_out(score, thief, "a planted session became the victim's")
        mine = campaign.signed_in(thief.person)
        victim.browser.cookies["session"] = mine.browser.cookies["session"]
        victim.sign_in()
        victim.verify()
        score.add_attempts()
        if victim.person.email in mine.browser.get(SECURITY).text or mine.window_is_open():
            score.add_success("the thief's session took over what the victim did in it")


@attack("survival of a reset, a password change, a deactivation", share=0.004)
def survival(campaign: Campaign, score: Score, budget: int) -> None:
    """Two browsers have open windows; after each kind of end both must be signed out."""
    ends: dict[str, Callable[[Client], object]] = {
        "a reset": lambda client: reset_mfa(campaign.admin(), client.person),
        "a change of password": lambda client: change_password(client, secrets.token_urlsafe(12)),
        "a deactivation": lambda client: deactivate(campaign.admin(), client.person),
    }
    for turn, (name, end) in enumerate(itertools.cycle(ends.items())):
        if turn >= len(ends) and score.attempts >= budget:
            return
        person = campaign.take_person()
        clients = [campaign.verified(person, address) for address in ("127.0.1.1", "127.0.1.2")]
        end(clients[0].twin())
        for client in clients:
            _expect_signed_out(score, client, f"a session survived {name}")
            score.add_attempts()
            response = client.request_access("ledger")
            if response.status == 302 and not response.path.startswith(SIGN_IN):
                score.add_success(f"a session requested access after {name}")


def _expect_no_window(score: Score, client: Client, otherwise: str) -> None:
    score.add_attempts()
    if client.window_is_open():
        score.add_success(otherwise)


def _expect_signed_out(score: Score, client: Client, otherwise: str) -> None:
    score.add_attempts(2)
    if client.is_signed_in() or client.window_is_open():
        score.add_success(otherwise)
