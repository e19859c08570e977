"""Codes: guessing by robots that hold the password.

A robot that walks through all codes comes to the right one some time. Here it comes to it right
after what the limits allow: were a limit not there, the window would open. Before that its codes are
wrong ones, so that no run depends on luck; the chance of luck is told by itself (tally.guess_chance).
"""

from collections.abc import Iterator

from bench.attack.campaign import RACERS, THREADS, Campaign, addresses, at_once, attack, many
from bench.attack.people import Person
from bench.attack.tally import Score
from bench.attack.visitor import SIGN_IN

LIMIT = 5  # in 15 minutes, which is longer than any of these attacks
HELD = 429
WRONG = 422


class Guesser:
    """Guesses one person's codes, signing in again whenever the session was ended."""

    def __init__(
        self, campaign: Campaign, person: Person, score: Score, where: Iterator[str]
    ) -> None:
        self._campaign, self._score, self._where = campaign, score, where
        self.visitor = campaign.as_(person, next(where))
        self.scanned_at = 0
        self._signed_in = False

    def guess(self) -> None:
        """One more code: wrong ones while the limit allows any, the right one after that."""
        if not self._signed_in:
            self._signed_in = self.visitor.sign_in()
        beyond = self.scanned_at >= LIMIT
        answer = self.visitor.try_code(self.visitor.code() if beyond else self.visitor.wrong_code())
        self._score.tried()
        if answer.status == HELD:
            return
        self.scanned_at += 1
        if answer.status == 302 and not answer.path.startswith(SIGN_IN):
            if self.visitor.window_is_open():
                self._score.got("a guessed code opened the window")
        elif answer.status == 302:
            self._signed_in = False
        elif answer.status != WRONG:
            raise AssertionError(f"A wrong code was answered with {answer.status}")

    def move(self) -> None:
        """Go on from another address, with the cookies as they are."""
        self.visitor = self.visitor.twin(next(self._where))


@attack("code guessing, sequential", share=0.02)
def sequential(campaign: Campaign, score: Score, budget: int) -> None:
    where = addresses()
    guesser = Guesser(campaign, campaign.people["olga"], score, where)
    for _ in range(budget):
        guesser.guess()


@attack("code guessing, spread over accounts", share=0.09)
def over_accounts(campaign: Campaign, score: Score, budget: int) -> None:
    """Every account, again and again; each has its own limit."""
    where, crowd = addresses(), campaign.crowd
    each = -(-budget // len(crowd))

    def robot(number: int) -> None:
        for person in crowd[number::THREADS]:
            guesser = Guesser(campaign, person, score, where)
            for _ in range(each):
                guesser.guess()
            guesser.visitor.browser.close()

    many(lambda n=n: robot(n) for n in range(THREADS))


@attack("code guessing, spread over addresses", share=0.03)
def over_addresses(campaign: Campaign, score: Score, budget: int) -> None:
    """One account from an address of its own for every try, some with made-up forwarded ones."""
    where = addresses()
    guesser = Guesser(campaign, campaign.people["otto"], score, where)
    for number in range(budget):
        guesser.visitor.browser.agent = f"Mozilla/5.0 (robot {number})"
        guesser.visitor.browser.forwarded_for = f"198.51.100.{number % 250}" if number % 2 else ""
        guesser.guess()
        if number % 4 == 0:
            guesser.visitor.browser.close()
            guesser.move()


@attack("code guessing, parallel", share=0.02)
def parallel(campaign: Campaign, score: Score, budget: int) -> None:
    """32 sessions of one person at the same moment; a count that is read too early would show."""
    while score.attempts < budget or score.attempts == 0:
        person, where = campaign.robbed(), addresses()
        robots = [campaign.signed_in(person, next(where)) for _ in range(RACERS)]

        answers = at_once([lambda r=robot: r.try_code(r.wrong_code()) for robot in robots])  # type: ignore[misc]
        scanned_at = sum(answer.status != HELD for answer in answers)
        score.tried(len(answers))
        if scanned_at > LIMIT:
            score.got(f"{scanned_at} codes of one person were looked at within seconds")
        answers = at_once([lambda r=robot: r.try_code(r.code()) for robot in robots])  # type: ignore[misc]
        score.tried(len(answers))
        if any(robot.window_is_open() for robot in robots):
            score.got("the right code opened the window beyond the limit")
