"""Replay: a code that was used once, in every form it has come back in elsewhere.

Somebody reads a code over a shoulder, and holds the password. In a session of their own they must
not get anywhere with it: not at once, not 31 or 59 seconds later, in no other spelling.
"""

from collections.abc import Callable, Iterator

from bench.attack.campaign import RACERS, Campaign, at_once, attack
from bench.attack.moves import turn_on
from bench.attack.tally import Score
from bench.attack.visitor import SECURITY, STEP_UP, Visitor

MOST_TRIES = 4  # of one person: a fifth would meet the limit instead of the rule


def _other_digits(code: str, zero: int) -> str:
    return "".join(chr(zero + int(digit)) for digit in code)


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it was": lambda code: code,
    "with a space": lambda code: f"{code[:3]} {code[3:]}",
    "with spaces around": lambda code: f"  {code}  ",
    "with a hyphen": lambda code: f"{code[:3]}-{code[3:]}",
    "with an underscore": lambda code: f"{code[:3]}_{code[3:]}",
    "with a plus": lambda code: f"+{code}",
    "with a leading zero": lambda code: f"0{code}",
    "with a line feed": lambda code: f"{code}\n",
    "with a hard space": lambda code: f"{code[:3]}\u00a0{code[3:]}",
    "with a zero-width space": lambda code: f"{code[:3]}\u200b{code[3:]}",
    "with a null": lambda code: f"{code}\x00",
    "as a decimal": lambda code: f"{code}.0",
    "in full-width digits": lambda code: _other_digits(code, 0xFF10),
    "in Arabic digits": lambda code: _other_digits(code, 0x0660),
    "in Devanagari digits": lambda code: _other_digits(code, 0x0966),
    "with one full-width digit": lambda code: code[:5] + _other_digits(code[5], 0xFF10),
}


@attack("replay in other spellings, at once and after 31 and 59 s", share=0.002)
def spellings(campaign: Campaign, score: Score, budget: int) -> None:
    """Two sessions of each person: the owner's, which uses the code, and the thief's."""
    waiting = list(_thieves(campaign, list(SPELLINGS)))
    for seconds in (0, 31, 28):
        campaign.portal.move_clock(seconds)
        for code, thief, spelled in waiting:
            _replay(score, thief, SPELLINGS[spelled](code), f"a used code, {spelled}")


def _thieves(campaign: Campaign, spelled: list[str]) -> Iterator[tuple[str, Visitor, str]]:
    for name in spelled:
        person = campaign.owner()
        owner, thief = campaign.signed_in(person), campaign.signed_in(person, "127.3.0.1")
        code = owner.code()
        if owner.try_code(code).status == 302:
            yield code, thief, name


@attack("replay, A-B-A", share=0.001)
def a_b_a(campaign: Campaign, score: Score, budget: int) -> None:
    """Two codes in turn: who remembers only the last one takes the first again."""
    while score.attempts < max(budget, 8):
        person = campaign.owner()
        owner, thief = campaign.signed_in(person), campaign.signed_in(person, "127.3.0.2")
        first, second = owner.code(-1), owner.code()
        if {owner.try_code(first).status, owner.try_code(second).status} != {302}:
            continue
        for code in (first, second, first):
            _replay(score, thief, code, "a used code, after another one")


@attack("replay by 32 sessions at once", share=0.004)
def at_the_same_moment(campaign: Campaign, score: Score, budget: int) -> None:
    """One code, 32 sessions, one moment: one window may open."""
    while score.attempts < max(budget, RACERS):
        person = campaign.owner()
        sessions = [campaign.signed_in(person, f"127.3.1.{n + 1}") for n in range(RACERS)]
        code = sessions[0].code()
        at_once([lambda s=session, c=code: s.try_code(c) for session in sessions])  # type: ignore[misc]
        score.tried(RACERS - 1)
        opened = sum(session.window_is_open() for session in sessions)
        if opened > 1:
            score.got(f"one code opened {opened} windows")


@attack("replay of the code that turned MFA on", share=0.0005)
def of_set_up(campaign: Campaign, score: Score, budget: int) -> None:
    """The confirming code is spent: it opens no window, in this session or another."""
    for person in campaign.newcomers[:3]:
        campaign.spent.add(person.email)
        owner, secret, code, _ = turn_on(campaign.signed_in(person))
        knowing = person.with_secret(secret)
        thief = campaign.signed_in(knowing, "127.3.0.3")
        for visitor in (owner, thief):
            _replay(score, visitor, code, "the code that turned MFA on")
        _replay(score, thief, f"{code[:3]} {code[3:]}", "the code that turned MFA on, with a space")


@attack("recovery codes used twice, and by 32 sessions at once", share=0.0005)
def recovery_codes(campaign: Campaign, score: Score, budget: int) -> None:
    person = campaign.newcomers[3]
    campaign.spent.add(person.email)
    owner, _, _, codes = turn_on(campaign.signed_in(person))
    if not codes:
        return
    used, raced = codes[0], codes[1]
    try_recovery_code(owner, used)
    if not owner.window_is_open():
        raise AssertionError("A recovery code did not open its owner's window")
    thief = campaign.signed_in(person, "127.3.0.4")
    for text in (used, used.upper(), used.replace("-", ""), used.replace("-", " ")):
        score.tried()
        try_recovery_code(thief, text)
        if thief.window_is_open():
            score.got("a recovery code worked twice")
    sessions = [campaign.signed_in(person, f"127.3.2.{n + 1}") for n in range(RACERS)]
    at_once([lambda s=session: try_recovery_code(s, raced) for session in sessions])  # type: ignore[misc]
    score.tried(RACERS - 1)
    if sum(session.window_is_open() for session in sessions) > 1:
        score.got("one recovery code opened several windows")


def try_recovery_code(visitor: Visitor, text: str) -> None:
    """Enter a recovery code on the step-up page, in the form that is there for it."""
    visitor.browser.post(f"{STEP_UP}?with=recovery", {"code": text})


def _replay(score: Score, thief: Visitor, typed: str, what: str) -> None:
    score.tried()
    thief.try_code(typed)
    if thief.window_is_open():
        score.got(f"{what}, opened a window")
        thief.browser.post(f"{SECURITY}close-window/")
