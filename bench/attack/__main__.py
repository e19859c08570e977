"""`python -m bench.attack`: the campaign, its table, and bench/results/attack.json."""

import argparse
import importlib
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.attack import attacks
from bench.attack.browser import server_errors
from bench.attack.campaign import ATTACKS, Attack, Campaign, Unexpected
from bench.attack.owner import Owner
from bench.attack.portal import ROOT, Portal, end_tidily, running_servers
from bench.attack.tally import Score, guess_chance, table, write_json

RESULT = ROOT / "bench" / "results" / "attack.json"
CHANCE_DAY, CHANCE_MONTH = 6e-5, 3e-4
OWNERS = (("olga", "127.0.0.10"), ("otto", "127.0.0.11"), ("oona", "127.0.0.12"))
# The order of the campaign. Those that move the clock come last: targets keep their own.
MODULES = ("passwords", "guessing", "sessions", "doors", "tampering", "races", "foreign", "forgery",
           "replay", "closed", "weeks")  # fmt: skip


@dataclass
class Result:
    """What a campaign found, and whether its controls make it valid."""

    scores: list[Score] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def attempts(self) -> int:
        return sum(score.attempts for score in self.scores)

    @property
    def successes(self) -> int:
        return sum(score.successes for score in self.scores)


class NotAtWork(SystemExit):
    """The owners did not get through before any attack: nothing could be told of one."""


def run_campaign(
    campaign: Campaign,
    attempts: int,
    only: tuple[str, ...] = ("",),
    *,
    owners: tuple[tuple[str, str], ...] = OWNERS,
) -> Result:
    """Run all attacks one after the other, with the owners at work all the time."""
    for module in MODULES:
        importlib.import_module(f"{attacks.__name__}.{module}")
    result, started = Result(), time.monotonic()
    at_work = [Owner(campaign, name, address, campaign.controls) for name, address in owners]
    for owner in at_work:
        owner.round()
        campaign.known[owner.person_name] = owner.device_cookies
    if campaign.controls.failures:
        raise NotAtWork(f"The owners cannot work before any attack: {campaign.controls.failures}")
    campaign.judge.remember_settings(campaign)
    for owner in at_work:
        owner.start()
    wanted = [each for each in ATTACKS if any(part in each.name for part in only)]
    order = sorted(wanted, key=lambda each: each.moves_clock)
    for each in order:
        if each.moves_clock:
            _stop(at_work)
        result.scores.append(_run_one(campaign, each, attempts, result, last=each is order[-1]))
    _stop(at_work)
    result.seconds = time.monotonic() - started
    return result


def _stop(owners: list[Owner]) -> None:
    for owner in owners:
        if owner.is_alive():
            owner.stop()


def _run_one(
    campaign: Campaign, each: Attack, attempts: int, result: Result, *, last: bool
) -> Score:
    score, started = Score(each.name), time.monotonic()
    try:
        try:
            each.run(campaign, score, int(attempts * each.share))
        finally:
            campaign.judge.look(score)
            if campaign.judges_often or last:
                campaign.judge.compare_settings(campaign, score)
    except (Unexpected, AssertionError, LookupError, OSError) as error:
        result.errors.append(f"{each.name}: {error!r}")
    score.seconds = time.monotonic() - started
    campaign.say(
        f"{score.attempts:>7,} attempts  {score.successes} successes  {score.seconds:5.1f} s  {each.name}"
    )
    return score


def main() -> int:
    end_tidily()
    arguments = _arguments()
    with running_servers() as servers:
        portal = Portal(servers, "portal")
        print(f"Making a portal with {arguments.accounts:,} accounts", flush=True)
        portal.create(arguments.accounts)
        try:
            portal.start()
            campaign = Campaign(portal, say=lambda text: print(text, flush=True))
            result = run_campaign(campaign, arguments.attempts, (arguments.only,))
        finally:
            portal.stop()
            if arguments.log:
                Path(arguments.log).write_text(portal.log_file.read_text())
    return report(campaign, result, arguments)


def report(campaign: Campaign, result: Result, arguments: argparse.Namespace) -> int:
    content = summary(campaign, result) | {"accounts": arguments.accounts}
    print()
    rows = [(score.name, score.attempts, score.successes) for score in result.scores]
    rows.append(("all attacks", result.attempts, result.successes))
    print(table(rows, ("attack", "attempts", "successes")))
    print(
        f"\nowners' rounds {campaign.controls.rounds}, owner locked out {content['owner_locked_out']}"
    )
    print(f"codes looked at in the fullest day {campaign.patience.per_day}, in the fullest 30 days "
          f"{campaign.patience.per_month}")  # fmt: skip
    print(f"chance of a guess: {content['guess_chance_day']:.1e} a day, "
          f"{content['guess_chance_30_days']:.1e} in 30 days")  # fmt: skip
    for score in result.scores:
        for seen in score.seen:
            print(f"SUCCESS of {score.name}: {seen}")
    problems = what_is_wrong(campaign, result, content)
    for problem in problems:
        print(f"INVALID: {problem}")
    if not arguments.only:
        write_json(Path(arguments.out), content)
        print(f"written to {arguments.out}")
    return 1 if problems or result.successes else 0


def summary(campaign: Campaign, result: Result) -> dict[str, Any]:
    patience = campaign.patience
    return {
        "attempts": result.attempts,
        "successes": result.successes,
        "owner_locked_out": campaign.controls.locked_out,
        "guess_chance_day": guess_chance(patience.per_day),
        "guess_chance_30_days": guess_chance(patience.per_month),
        "codes_looked_at": {"fullest_day": patience.per_day, "fullest_30_days": patience.per_month},
        "attacks": [score.as_dict() for score in result.scores],
        "controls": campaign.controls.as_dict() | {"days_of_the_moved_clock": patience.owner_rounds},
        "server_errors": len(server_errors),
        "seconds": round(result.seconds),
        "environment": {
            "web_processes": 2,
            "workers": 1,
            "database": "PostgreSQL",
            "processors": os.cpu_count(),
            "password_hashing": "Argon2id, 1 MiB, one pass",
        },
    }  # fmt: skip


def what_is_wrong(campaign: Campaign, result: Result, content: dict[str, Any]) -> list[str]:
    """Everything that makes a campaign's figures worth nothing, or worse than promised."""
    found = list(result.errors)
    controls = campaign.controls
    if controls.failures:
        found.append(f"owners did not get through: {controls.failures[:5]}")
    if not controls.rounds:
        found.append("no owner got through a round")
    if server_errors:
        found.append(
            f"the portal answered with an error of its own: {sorted(set(server_errors))[:5]}"
        )
    if content["guess_chance_day"] > CHANCE_DAY * 1.0000001:
        found.append("the chance of a guess in a day is above the bar")
    if content["guess_chance_30_days"] > CHANCE_MONTH * 1.0000001:
        found.append("the chance of a guess in 30 days is above the bar")
    return found


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.attack", description=__doc__)
    parser.add_argument("--attempts", type=int, default=100_000)
    parser.add_argument("--accounts", type=int, default=1_000)
    parser.add_argument("--only", default="", help="only attacks whose name contains this")
    parser.add_argument("--out", default=str(RESULT))
    parser.add_argument("--log", default="", help="keep the portal's log here")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
