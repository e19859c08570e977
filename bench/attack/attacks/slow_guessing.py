"""A patient robot: 33 days of the portal's clock, using whatever the limits let through.

It holds the password and never stops: it comes back the moment a lockout ends, and in between as
well. How many of its guesses the portal checked in the fullest day and in the fullest 30 days is the
measured part of the chance of a guess.
"""

from bench.attack.campaign import Campaign, attack
from bench.attack.client import SIGN_IN, Client
from bench.attack.people import Person
from bench.attack.scoring import DAY_S, Score
from bench.environment import InvalidRun

DAYS = 33
VICTIMS = ("olga", "otto")
MAX_PER_DAY, MAX_PER_MONTH = 20, 100
LOCKED_OUT, WRONG = 429, 422
MAX_ROW = 12


@attack("code guessing over weeks", share=0.04, runs_alone=True)
def over_weeks(campaign: Campaign, score: Score, budget: int) -> None:
    """Guess at least every four hours, with a large budget every quarter of an hour."""
    robots = [_Robot(campaign, campaign.people[name], score) for name in VICTIMS]
    trusted = [name for name in VICTIMS if name in campaign.trusted]
    owners = [campaign.client(name, f"127.0.0.{10 + n}") for n, name in enumerate(trusted)]
    for owner in owners:
        owner.browser.cookies.update(campaign.trusted[owner.person.name])
    rounds = max(DAYS * 6, min(DAYS * 96, budget // len(VICTIMS)))
    pause = DAYS * DAY_S / rounds
    next_owner_round = campaign.portal.now()
    for _ in range(rounds):
        campaign.portal.move_clock(pause)
        for robot in robots:
            robot.guess_until_locked_out()
        day, month = campaign.guesses.per_day, campaign.guesses.per_month
        if day > MAX_PER_DAY or month > MAX_PER_MONTH:  # that need not be shown for weeks
            score.add_success(f"{day} codes were checked in a day, {month} in 30 days")
            return
        if campaign.portal.now() >= next_owner_round:
            next_owner_round = campaign.portal.now() + DAY_S
            for owner in owners:
                _verify_owner(campaign, owner)


def _verify_owner(campaign: Campaign, owner: Client) -> None:
    """The owner's trusted browser gets in every day, whatever the robot has used up."""
    owner.browser.cookies.pop("session", None)
    response = owner.submit_password(owner.person.password)
    if response.status == 302:
        response = owner.submit_code(owner.code())
    if response.status == 302 and owner.window_is_open():
        campaign.controls.days += 1
        return
    detail = f"{owner.person.name} on day {campaign.portal.ahead_s // DAY_S:.0f}: {response.status}"
    campaign.controls.add_failure(detail, locked_out=True)


class _Robot:
    def __init__(self, campaign: Campaign, person: Person, score: Score) -> None:
        self._portal, self._score = campaign.portal, score
        self._instants = campaign.guesses.instants[person.name]
        self._client = campaign.client(person, "127.2.0.1")
        self._is_signed_in = False

    def guess_until_locked_out(self) -> None:
        """Guess wrong codes until locked out, then the right one, which must not work.

        The session may have expired since the last time: what a redirect to the sign-in page refuses
        then was not checked.
        """
        self._is_signed_in = self._is_signed_in and self._client.is_signed_in()
        for _ in range(MAX_ROW):
            if self._guess(self._client.wrong_code()) == LOCKED_OUT:
                break
        else:
            self._score.add_success(f"{MAX_ROW} codes were checked without a lockout")
        self._guess(self._client.code())
        if self._client.window_is_open():
            self._score.add_success("the right code opened the window beyond the limit")

    def _guess(self, code: str) -> int:
        if not self._is_signed_in:
            self._sign_in()
        self._score.add_attempts()
        response = self._client.submit_code(code)
        session_ended = response.status == 302 and response.path.startswith(SIGN_IN)
        if session_ended:
            self._is_signed_in = False
        if session_ended or response.status == WRONG:
            self._instants.append(self._portal.now())
        return response.status

    def _sign_in(self) -> None:
        self._client.browser.cookies.pop("session", None)
        if not self._client.sign_in():
            raise InvalidRun(f"{self._client.person.email} could not sign in")
        self._is_signed_in = True
