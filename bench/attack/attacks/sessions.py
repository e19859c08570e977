"""Sessions: made-up, stale, copied and planted cookies; what a reset and other ends leave alive."""

import itertools
import secrets
from collections.abc import Callable

from bench.attack.campaign import THREADS, Campaign, attack, many
from bench.attack.moves import change_password, reset_mfa, set_active
from bench.attack.tally import Score
from bench.attack.visitor import SECURITY, SIGN_IN, Visitor

PROTECTED = [
    "/",
    "/requests/",
    "/account/security/",
    "/approvals/",
    "/users/",
    "/admin/",
    "/audit-log/",
]


@attack("session cookies, made up", share=0.36)
def made_up(campaign: Campaign, score: Score, budget: int) -> None:
    """Session keys nobody was given: random ones, near misses of a real one, and oddities."""
    real = campaign.signed_in(campaign.owner()).browser.cookies["session"]
    odd = [
        "",
        "0",
        "null",
        "a" * 4000,
        "../../etc/passwd",
        "%00",
        real.upper(),
        real[:-1],
        real + "0",
    ]

    def robot(number: int) -> None:
        browser = campaign.portal.browser(f"127.8.0.{number + 1}")
        for turn in range(budget // THREADS + 1):
            near = real[:-1] + secrets.choice("abcdefghijklmnopqrstuvwxyz0123456789")
            made = [
                secrets.token_hex(16),
                near if near != real else real[::-1],
                odd[turn % len(odd)],
            ]
            browser.cookies = {"session": made[turn % 3]}
            score.tried()
            if browser.get(PROTECTED[turn % len(PROTECTED)]).status == 200:
                score.got("a made-up session cookie was taken")

    many(lambda n=n: robot(n) for n in range(THREADS))


@attack("session cookies, stale and copied", share=0.01)
def stale(campaign: Campaign, score: Score, budget: int) -> None:
    """Copies made before a code, a closed window or a sign-out must not gain or keep anything."""
    while score.attempts < budget or not score.attempts:
        visitor = campaign.signed_in(campaign.owner())
        before_code = visitor.twin()
        if not visitor.verify():
            continue
        with_window = visitor.twin()
        _expect_nothing(score, before_code, "a copy made before the code shares the window")
        visitor.browser.post("/account/security/close-window/")
        _expect_nothing(score, with_window, "a copied cookie kept a window that was closed")
        signed_in, old = visitor.twin(), visitor.browser.cookies["session"]
        visitor.sign_out()
        _expect_out(score, signed_in, "a copied session survived the sign-out")
        again = campaign.signed_in(visitor.person)
        again.browser.cookies["session"] = old
        _expect_out(score, again, "an old cookie was revived by a new sign-in")


@attack("session fixation", share=0.01)
def fixation(campaign: Campaign, score: Score, budget: int) -> None:
    """A session planted in somebody's browser before they sign in, or before they enter a code."""
    while score.attempts < budget or not score.attempts:
        thief, victim = campaign.as_(campaign.owner()), campaign.as_(campaign.owner())
        thief.browser.get("/sign-in/?next=/requests/")
        planted = thief.browser.cookies.get("session") or secrets.token_hex(16)
        for cookies in (thief.browser.cookies, victim.browser.cookies):
            cookies["session"] = planted
        if not victim.sign_in():
            continue
        _expect_out(score, thief, "a planted session became the victim's")
        mine = campaign.signed_in(thief.person)
        victim.browser.cookies["session"] = mine.browser.cookies["session"]
        victim.sign_in()
        victim.verify()
        score.tried()
        if victim.person.email in mine.browser.get(SECURITY).text or mine.window_is_open():
            score.got("the thief's session took over what the victim did in it")


@attack("survival of a reset, a password change, a deactivation", share=0.004)
def survival(campaign: Campaign, score: Score, budget: int) -> None:
    """Two browsers with open windows; after the end of what they stand on, both must be out."""
    endings: dict[str, Callable[[Visitor], object]] = {
        "a reset": lambda visitor: reset_mfa(campaign.admin(), visitor.person),
        "a change of password": lambda visitor: change_password(visitor, secrets.token_urlsafe(12)),
        "a deactivation": lambda visitor: set_active(
            campaign.admin(), visitor.person, active=False
        ),
    }
    for turn, (name, end) in enumerate(itertools.cycle(endings.items())):
        if turn >= len(endings) and score.attempts >= budget:
            return
        person = campaign.spend()
        browsers = [campaign.verified(person, address) for address in ("127.0.1.1", "127.0.1.2")]
        end(browsers[0].twin())
        for visitor in browsers:
            _expect_out(score, visitor, f"a session survived {name}")
            score.tried()
            answer = visitor.ask_for("ledger")
            if answer.status == 302 and not answer.path.startswith(SIGN_IN):
                score.got(f"a session asked for access after {name}")


def _expect_nothing(score: Score, visitor: Visitor, otherwise: str) -> None:
    score.tried()
    if visitor.window_is_open():
        score.got(otherwise)


def _expect_out(score: Score, visitor: Visitor, otherwise: str) -> None:
    score.tried(2)
    if visitor.is_signed_in() or visitor.window_is_open():
        score.got(otherwise)
