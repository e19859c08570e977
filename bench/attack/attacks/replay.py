"""Replay: a code that was used once, in every form it has been accepted again elsewhere.

Somebody reads a code over a shoulder and holds the password. In a session of their own it must not
get them anywhere: not at once, not 31 or 59 seconds later, in no other spelling.
"""

from collections.abc import Callable

from bench.attack.actions import enrol
from bench.attack.campaign import RACERS, Campaign, attack, run_at_once
from bench.attack.client import SECURITY, STEP_UP, Client
from bench.attack.scoring import Score
from bench.environment import InvalidRun


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
    """Each person has two sessions: the owner's, which uses the code, and the thief's."""
    thieves = []
    for spelling in SPELLINGS:
        person = campaign.next_owner()
        owner, thief = campaign.signed_in(person), campaign.signed_in(person, "127.3.0.1")
        code = owner.code()
        if owner.submit_code(code).status == 302:
            thieves.append((code, thief, spelling))
    for seconds in (0, 31, 28):
        campaign.portal.move_clock(seconds)
        for code, thief, spelling in thieves:
            _replay(score, thief, SPELLINGS[spelling](code), f"a used code, {spelling}")


@attack("replay, A-B-A", share=0.001)
def a_b_a(campaign: Campaign, score: Score, budget: int) -> None:
    """Use two codes in turn: a portal that remembers only the last one accepts the first again."""
    while score.attempts < max(budget, 8):
        person = campaign.next_owner()
        owner, thief = campaign.signed_in(person), campaign.signed_in(person, "127.3.0.2")
        first, second = owner.code(-1), owner.code()
        if {owner.submit_code(first).status, owner.submit_code(second).status} != {302}:
            continue
        for code in (first, second, first):
            _replay(score, thief, code, "a used code, after another one")


@attack("replay by 32 sessions at once", share=0.004)
def at_the_same_moment(campaign: Campaign, score: Score, budget: int) -> None:
    """One code may open one window."""
    while score.attempts < max(budget, RACERS):
        person = campaign.next_owner()
        sessions = [campaign.signed_in(person, f"127.3.1.{n + 1}") for n in range(RACERS)]
        code = sessions[0].code()
        run_at_once(lambda s=s, c=code: s.submit_code(c) for s in sessions)
        score.add_attempts(RACERS - 1)
        windows = sum(session.window_is_open() for session in sessions)
        if windows > 1:
            score.add_success(f"one code opened {windows} windows")


@attack("replay of the code that turned MFA on", share=0.0005)
def of_set_up(campaign: Campaign, score: Score, budget: int) -> None:
    """The confirming code is used: it opens the window of its own session, once, and no other."""
    for person in campaign.not_enrolled[:3]:
        campaign.changed.add(person.email)
        owner = campaign.signed_in(person)
        enrolled, code, _ = enrol(owner)
        owner.browser.post(f"{SECURITY}close-window/")
        thief = campaign.signed_in(enrolled, "127.3.0.3")
        for client in (owner, thief):
            _replay(score, client, code, "the code that turned MFA on")
        _replay(score, thief, f"{code[:3]} {code[3:]}", "the code that turned MFA on, with a space")


@attack("recovery codes used twice, and by 32 sessions at once", share=0.0005)
def recovery_codes(campaign: Campaign, score: Score, budget: int) -> None:
    person = campaign.not_enrolled[3]
    campaign.changed.add(person.email)
    owner = campaign.signed_in(person)
    _, _, codes = enrol(owner)
    if len(codes) < 2:
        raise InvalidRun("Set-up showed no recovery codes")
    used, raced = codes[:2]
    _submit_recovery_code(owner, used)
    if not owner.window_is_open():
        raise InvalidRun("A recovery code did not open its owner's window")
    thief = campaign.signed_in(person, "127.3.0.4")
    for text in (used, used.upper(), used.replace("-", ""), used.replace("-", " ")):
        score.add_attempts()
        _submit_recovery_code(thief, text)
        if thief.window_is_open():
            score.add_success("a recovery code worked twice")
    sessions = [campaign.signed_in(person, f"127.3.2.{n + 1}") for n in range(RACERS)]
    run_at_once(lambda s=s: _submit_recovery_code(s, raced) for s in sessions)
    score.add_attempts(RACERS - 1)
    if sum(session.window_is_open() for session in sessions) > 1:
        score.add_success("one recovery code opened several windows")


def _submit_recovery_code(client: Client, text: str) -> None:
    client.browser.post(f"{STEP_UP}?with=recovery", {"code": text})


def _replay(score: Score, thief: Client, code: str, detail: str) -> None:
    score.add_attempts()
    thief.submit_code(code)
    if thief.window_is_open():
        score.add_success(f"{detail}, opened a window")
        thief.browser.post(f"{SECURITY}close-window/")
