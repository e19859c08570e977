"""A patient robot: 30 days and more of the portal's clock, whatever the limits let through.

It holds the password and never stops: at every hold it comes back the moment it ends, and in between
as well. How many of its codes the portal really looked at in the fullest day and in the fullest 30
days is the measured part of the guess chance.
"""

from bench.attack.campaign import Campaign, attack
from bench.attack.people import Person
from bench.attack.tally import DAY_S, Score
from bench.attack.visitor import SIGN_IN, Visitor

DAYS = 33
VICTIMS = ("olga", "otto")
PROMISED_DAY, PROMISED_MONTH = 20, 100
HELD, WRONG = 429, 422
MOST_AT_ONCE = 12


@attack("code guessing over weeks", share=0.04, moves_clock=True)
def over_weeks(campaign: Campaign, score: Score, budget: int) -> None:
    """Ask at least every few hours; with a large budget every quarter of an hour."""
    robots = [_Robot(campaign, campaign.people[name], score) for name in VICTIMS]
    known = [name for name in VICTIMS if name in campaign.known]
    owners = [campaign.as_(name, f"127.0.0.{10 + n}") for n, name in enumerate(known)]
    for owner in owners:
        owner.browser.cookies.update(campaign.known[owner.person.name])
    rounds = max(DAYS * 6, min(DAYS * 96, budget // len(VICTIMS)))
    pause = DAYS * DAY_S / rounds
    next_owner_round = campaign.portal.now()
    for _ in range(rounds):
        campaign.portal.move_clock(pause)
        for robot in robots:
            robot.try_all_there_is()
        if _limits_are_gone(campaign, score):
            return
        if campaign.portal.now() >= next_owner_round:
            next_owner_round = campaign.portal.now() + DAY_S
            for owner in owners:
                _owner_round(campaign, owner)


def _limits_are_gone(campaign: Campaign, score: Score) -> bool:
    """One more than is promised: that is shown, and need not be shown for weeks."""
    day, month = campaign.patience.per_day, campaign.patience.per_month
    if day <= PROMISED_DAY and month <= PROMISED_MONTH:
        return False
    score.got(f"{day} codes were looked at in a day, {month} in 30 days")
    return True


def _owner_round(campaign: Campaign, owner: Visitor) -> None:
    """The owner's known browser gets in every day, whatever the robot has used up."""
    owner.browser.cookies.pop("session", None)
    answer = owner.try_password(owner.person.password)
    code = owner.try_code(owner.code()) if answer.status == 302 else answer
    if code.status == 302 and owner.window_is_open():
        campaign.patience.owner_rounds += 1
        return
    day = (campaign.portal.ahead_s) // DAY_S
    campaign.controls.failed(
        f"{owner.person.name} on day {day:.0f}: {code.status}", locked_out=True
    )


class _Robot:
    def __init__(self, campaign: Campaign, person: Person, score: Score) -> None:
        self._campaign, self._score = campaign, score
        self._visitor = campaign.as_(person, "127.2.0.1")
        self._signed_in_until = 0.0

    def try_all_there_is(self) -> None:
        """Wrong codes until the portal holds them off, then the right one, which must not work."""
        instants = self._campaign.patience.scanned_at[self._visitor.person.name]
        for _ in range(MOST_AT_ONCE):
            status = self._one(self._visitor.wrong_code(), instants)
            if status == HELD:
                break
        else:
            self._score.got(f"{MOST_AT_ONCE} codes were looked at without a hold")
        self._one(self._visitor.code(), instants)
        if self._visitor.window_is_open():
            self._score.got("the right code opened the window beyond the limit")

    def _one(self, code: str, instants: list[float]) -> int:
        now = self._campaign.portal.now()
        if now > self._signed_in_until:
            self._visitor.browser.cookies.pop("session", None)
            self._visitor.sign_in()
            self._signed_in_until = now + 11 * 3600
        self._score.tried()
        answer = self._visitor.try_code(code)
        if answer.status == WRONG:
            instants.append(now)
        elif answer.status == 302 and answer.path.startswith(SIGN_IN):
            instants.append(now)
            self._signed_in_until = 0.0
        return answer.status
