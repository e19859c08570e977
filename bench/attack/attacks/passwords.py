"""Passwords: lists from leaks tried on everybody, and common ones sprayed."""

import itertools
import secrets

from bench.attack.campaign import THREADS, Campaign, addresses, attack, run_robots
from bench.attack.client import Client
from bench.attack.scoring import Score

COMMON = ("Password1!", "Welcome2024!", "Summer2025!", "Qwertyuiop1!", "Letmein12345", "P@ssw0rd1234")  # fmt: skip
REUSED = 20  # one account in this many still has the leaked password


@attack("password stuffing", share=0.08)
def stuffing(campaign: Campaign, score: Score, budget: int) -> None:
    """Attempt leaked pairs from ever new addresses. Some are right: then only MFA protects."""
    source, crowd = addresses(), campaign.crowd
    share = budget // THREADS + 1

    def robot(thread: int) -> None:
        for number in range(thread * share, (thread + 1) * share):
            person = crowd[number % len(crowd)]
            is_right = number % REUSED == 0
            client = campaign.client(person, next(source))
            score.add_attempts()
            if client.sign_in(person.password if is_right else secrets.token_urlsafe(9)):
                if not is_right:
                    score.add_success("a wrong password opened a session")
                score.add_attempts(2)
                if client.window_is_open():
                    score.add_success("a sign-in opened the verified window")
                client.request_access("ledger")  # must lead to the code and no further
            client.browser.close()

    run_robots(robot)


@attack("password spraying", share=0.08)
def spraying(campaign: Campaign, score: Score, budget: int) -> None:
    """Attempt a few common passwords on all accounts, from few addresses."""
    people = [*campaign.crowd, campaign.people["ada"], campaign.people["olga"]]
    pairs = list(itertools.islice(itertools.cycle(itertools.product(COMMON, people)), budget))

    def robot(number: int) -> None:
        browser = campaign.portal.browser(f"127.9.0.{number + 1}")
        for password, person in pairs[number::THREADS]:
            score.add_attempts()
            if Client(campaign.portal, person, browser=browser).sign_in(password):
                score.add_success("a common password opened a session")

    run_robots(robot)
