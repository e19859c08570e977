"""Guessing of codes by robots that hold the password.

A robot that attempts all codes meets the right one some time. Here it enters the right one right after
what the limits allow: without a limit the window would open. Before that its codes are wrong ones, so
that no run depends on luck; the chance of luck is counted separately (scoring.guess_chance).
"""

from bench.attack.campaign import (
    RACERS,
    THREADS,
    Campaign,
    addresses,
    attack,
    run_at_once,
    run_robots,
)
from bench.attack.client import SIGN_IN
from bench.attack.people import Person
from bench.attack.scoring import Score

LIMIT = 5  # in 15 minutes, which is longer than any of these attacks
LOCKED_OUT = 429
WRONG = 422


class Guesser:
    """Guesses one person's codes, signing in again whenever the session was ended."""

    def __init__(self, campaign: Campaign, person: Person, score: Score, address: str) -> None:
        self._score = score
        self.client = campaign.client(person, address)
        self._checked = 0
        self._signed_in = False

    def guess(self) -> None:
        """Enter a wrong code while the limit allows any, the right one after that."""
        client = self.client
        if not self._signed_in:
            self._signed_in = client.sign_in()
        code = client.code() if self._checked >= LIMIT else client.wrong_code()
        response = client.submit_code(code)
        self._score.add_attempts()
        if response.status == LOCKED_OUT:
            return
        self._checked += 1
        if response.status == 302 and not response.path.startswith(SIGN_IN):
            if client.window_is_open():
                self._score.add_success("a guessed code opened the window")
        elif response.status == 302:
            self._signed_in = False
        elif response.status != WRONG:
            raise AssertionError(f"The response to a wrong code was {response.status}")


@attack("code guessing, sequential", share=0.02)
def sequential(campaign: Campaign, score: Score, budget: int) -> None:
    guesser = Guesser(campaign, campaign.people["olga"], score, next(addresses()))
    for _ in range(budget):
        guesser.guess()


@attack("code guessing, spread over accounts", share=0.09)
def over_accounts(campaign: Campaign, score: Score, budget: int) -> None:
    """Guess the codes of every account, again and again; each has its own limit."""
    source, crowd = addresses(), campaign.crowd
    guesses = -(-budget // len(crowd))

    def robot(number: int) -> None:
        for person in crowd[number::THREADS]:
            guesser = Guesser(campaign, person, score, next(source))
            for _ in range(guesses):
                guesser.guess()
            guesser.client.browser.close()

    run_robots(robot)


@attack("code guessing, spread over addresses", share=0.03)
def over_addresses(campaign: Campaign, score: Score, budget: int) -> None:
    """Guess one account's codes from ever new addresses, some with made-up forwarded ones."""
    source = addresses()
    guesser = Guesser(campaign, campaign.people["otto"], score, next(source))
    for number in range(budget):
        browser = guesser.client.browser
        browser.agent = f"Mozilla/5.0 (robot {number})"
        browser.forwarded_for = f"198.51.100.{number % 250}" if number % 2 else ""
        guesser.guess()
        if number % 4 == 0:
            browser.close()
            guesser.client = guesser.client.twin(next(source))


@attack("code guessing, parallel", share=0.02)
def parallel(campaign: Campaign, score: Score, budget: int) -> None:
    """Use 32 sessions of one person at the same moment; a count that is read too early would show."""
    while score.attempts < budget or score.attempts == 0:
        person, source = campaign.next_victim(), addresses()
        robots = [campaign.signed_in(person, next(source)) for _ in range(RACERS)]
        responses = run_at_once(lambda r=r: r.submit_code(r.wrong_code()) for r in robots)
        checked = sum(response.status != LOCKED_OUT for response in responses)
        score.add_attempts(len(responses))
        if checked > LIMIT:
            score.add_success(f"{checked} codes of one person were checked within seconds")
        run_at_once(lambda r=r: r.submit_code(r.code()) for r in robots)
        score.add_attempts(RACERS)
        if any(robot.window_is_open() for robot in robots):
            score.add_success("the right code opened the window beyond the limit")
