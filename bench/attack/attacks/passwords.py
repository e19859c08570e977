"""Passwords: lists from leaks tried on everybody, common ones sprayed, one IPv6 network as many addresses."""

import itertools
import secrets

from bench.attack.campaign import THREADS, Campaign, addresses, attack, run_robots
from bench.attack.client import Client
from bench.attack.scoring import Score

COMMON = ("Password1!", "Welcome2024!", "Summer2025!", "Qwertyuiop1!", "Letmein12345", "P@ssw0rd1234")  # fmt: skip
BLOCKED = 429
MAX_COMPARED, NETWORKS = 30, 1000  # in 15 minutes, for one account or from one network
REUSED = 20  # one account in this many still has the leaked password


@attack("password stuffing", share=0.08)
def stuffing(campaign: Campaign, score: Score, budget: int) -> None:
    """Attempt leaked pairs from ever new addresses. Some are right: then only MFA protects."""
    source, crowd = addresses(), campaign.leaked
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
    people = [*campaign.leaked, campaign.people["ada"], campaign.people["olga"]]
    pairs = list(itertools.islice(itertools.cycle(itertools.product(COMMON, people)), budget))

    def robot(number: int) -> None:
        browser = campaign.portal.browser(f"127.9.0.{number + 1}")
        for password, person in pairs[number::THREADS]:
            score.add_attempts()
            if Client(campaign.portal, person, browser=browser).sign_in(password):
                score.add_success("a common password opened a session")

    run_robots(robot)


@attack("passwords from one IPv6 network, and from many", share=0.003)
def ipv6(campaign: Campaign, score: Score, budget: int) -> None:
    """Attempt passwords of one account from addresses of one /64, then each from another network."""
    for networks in (1, NETWORKS):
        person, compared = campaign.take_person(), 0
        for number in range(max(budget // 2, 3 * MAX_COMPARED)):
            browser = campaign.portal.proxied_browser(
                f"2001:db8:{number % networks:x}::{number + 1:x}"
            )
            score.add_attempts()
            response = Client(campaign.portal, person, browser=browser).submit_password(
                "wrong-password-1"
            )
            compared += response.status != BLOCKED
            browser.close()
        if compared > MAX_COMPARED:
            score.add_success(f"{compared} passwords were compared, from {networks} IPv6 networks")
        browser = campaign.portal.proxied_browser("2001:db8::ffff")
        score.add_attempts()
        if Client(campaign.portal, person, browser=browser).sign_in():
            score.add_success("the right password worked beyond the limit")
