"""Passwords: lists from leaks tried on everybody, and common ones sprayed."""

import itertools
import secrets

from bench.attack.campaign import THREADS, Campaign, addresses, attack, many
from bench.attack.people import Person
from bench.attack.tally import Score
from bench.attack.visitor import Visitor

COMMON = [
    "Password1!",
    "Welcome2024!",
    "Summer2025!",
    "Qwertyuiop1!",
    "Letmein12345",
    "P@ssw0rd1234",
]
REUSED = 20  # one account in so many has the leaked password still


@attack("password stuffing", share=0.08)
def stuffing(campaign: Campaign, score: Score, budget: int) -> None:
    """Attempt leaked pairs from ever new addresses. Some are right: then only MFA stands between."""
    where = addresses()
    crowd = campaign.crowd

    def robot(attempts: int, first: int) -> None:
        for number in range(first, first + attempts):
            person = crowd[number % len(crowd)]
            leaked = number % REUSED == 0
            visitor = campaign.as_(person, next(where))
            score.tried()
            if visitor.sign_in(person.password if leaked else secrets.token_urlsafe(9)):
                if leaked:
                    take_what_is_there(visitor, score)
                else:
                    score.got("a wrong password opened a session")
            visitor.browser.close()

    each = budget // THREADS + 1
    many(lambda n=n: robot(each, n * each) for n in range(THREADS))


@attack("password spraying", share=0.08)
def spraying(campaign: Campaign, score: Score, budget: int) -> None:
    """A few common passwords over all accounts, from few addresses."""
    people: list[Person] = [*campaign.crowd, campaign.people["ada"], campaign.people["olga"]]
    pairs = list(itertools.islice(itertools.cycle(itertools.product(COMMON, people)), budget))

    def robot(number: int) -> None:
        browser = campaign.portal.browser(f"127.9.0.{number + 1}")
        for password, person in pairs[number::THREADS]:
            score.tried()
            if Visitor(campaign.portal, person, browser=browser).sign_in(password):
                score.got("a common password opened a session")

    many(lambda n=n: robot(n) for n in range(THREADS))


def take_what_is_there(visitor: Visitor, score: Score) -> None:
    """A stolen session asks for what is protected; it must come to the code and no further."""
    score.tried(2)
    if visitor.window_is_open():
        score.got("a sign-in opened the verified window")
    visitor.ask_for("ledger")
