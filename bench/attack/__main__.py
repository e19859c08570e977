"""`python -m bench.attack`: the campaign, its table, and bench/results/attack.json."""

import argparse
import importlib
import os
import sys
import time
from pathlib import Path

from bench.attack import attacks
from bench.attack.campaign import ATTACKS, Attack, Campaign
from bench.attack.control_user import ControlUser
from bench.attack.judge import read_settings
from bench.attack.portal import Portal, running_servers
from bench.attack.scoring import Score, guess_chance
from bench.browser import server_errors
from bench.environment import RESULTS, InvalidRun, exit_on_sigterm
from bench.report import format_table, write_json

MAX_CHANCE_DAY, MAX_CHANCE_MONTH = 6e-5, 3e-4
CONTROL_USERS = (("olga", "127.0.0.10"), ("otto", "127.0.0.11"), ("oona", "127.0.0.12"))
FEW_ACCOUNTS = 200  # with fewer, settings are compared after each attack
# In this order, but for attacks that run alone, which come last.
MODULES = ("passwords", "guessing", "sessions", "bypass", "authentication", "tampering", "races", "passkeys",
           "foreign_ids", "forgery", "replay", "database_writer", "api_tokens", "provisioning",
           "single_sign_on", "closed_window", "slow_guessing", "log_forgery")  # fmt: skip


class ControlsFailed(SystemExit):
    """The control users failed before any attack, so an attack could show nothing."""


def run_campaign(
    campaign: Campaign,
    attempts: int,
    only: tuple[str, ...] = ("",),
    *,
    control_users: tuple[tuple[str, str], ...] = CONTROL_USERS,
) -> None:
    """Run all attacks one after the other while the control users work."""
    for module in MODULES:
        importlib.import_module(f"{attacks.__name__}.{module}")
    users = [ControlUser(campaign, name, address) for name, address in control_users]
    for user in users:
        user.do_round()
        campaign.trusted[user.client.person.name] = user.client.device_cookies
    if campaign.controls.failures:
        raise ControlsFailed(f"Failed before any attack: {campaign.controls.failures}")
    campaign.judge.remember_settings(read_settings(campaign.admin()))
    for user in users:
        user.start()
    chosen = [attack for attack in ATTACKS if any(part in attack.name for part in only)]
    chosen.sort(key=lambda attack: attack.runs_alone)
    for attack in chosen:
        if attack.runs_alone:
            for user in users:
                user.stop()
        compare = len(campaign.people) < FEW_ACCOUNTS or attack is chosen[-1]
        _run_attack(campaign, attack, attempts, compare_settings=compare)
    for user in users:
        user.stop()


def _run_attack(
    campaign: Campaign, attack: Attack, attempts: int, *, compare_settings: bool
) -> None:
    score, started = Score(attack.name), time.monotonic()
    campaign.scores.append(score)
    try:
        try:
            attack.run(campaign, score, int(attempts * attack.share))
        finally:
            campaign.judge.check_target(score)
            if compare_settings:
                settings = read_settings(campaign.admin())
                campaign.judge.compare_settings(settings, campaign.changed, score)
    except (InvalidRun, AssertionError, LookupError, OSError) as error:
        campaign.errors.append(f"{attack.name}: {error!r}")
    seconds = time.monotonic() - started
    campaign.say(
        f"{score.attempts:>7,} attempts  {score.successes} successes  {seconds:5.1f} s  {attack.name}"
    )


def main() -> int:
    exit_on_sigterm()
    options = _options()
    with running_servers() as servers:
        portal = Portal(servers, "portal")
        print(f"Making a portal with {options.accounts:,} accounts", flush=True)
        portal.create(options.accounts)
        try:
            portal.start()
            campaign = Campaign(portal, say=lambda text: print(text, flush=True))
            run_campaign(campaign, options.attempts, (options.only,))
        finally:
            portal.stop()
    return report(campaign, options)


def report(campaign: Campaign, options: argparse.Namespace) -> int:
    controls, guesses = campaign.controls, campaign.guesses
    rows = [(score.name, score.attempts, score.successes) for score in campaign.scores]
    rows.append(("all attacks", campaign.attempts, campaign.successes))
    print("\n" + format_table(rows, ("attack", "attempts", "successes")))
    content = {
        "attempts": campaign.attempts,
        "successes": campaign.successes,
        "control_user_locked_out": controls.locked_out,
        "guess_chance_day": guess_chance(guesses.per_day),
        "guess_chance_30_days": guess_chance(guesses.per_month),
        "codes_checked": {"fullest_day": guesses.per_day, "fullest_30_days": guesses.per_month},
        "attacks": [score.as_dict() for score in campaign.scores],
        "controls": controls.as_dict(),
        "server_errors": len(server_errors),
        "accounts": options.accounts,
        "processors": os.cpu_count(),
    }
    for name, value in content.items():
        if name != "attacks":
            print(f"{name}: {value}")
    for score in campaign.scores:
        for detail in score.details:
            print(f"SUCCESS of {score.name}: {detail}")
    problems = find_problems(campaign)
    for problem in problems:
        print(f"INVALID: {problem}")
    if not options.only:
        write_json(options.out, content)
        print(f"written to {options.out}")
    return 1 if problems or campaign.successes else 0


def find_problems(campaign: Campaign) -> list[str]:
    """Return everything that makes a campaign's figures worth nothing, or worse than promised."""
    controls, guesses = campaign.controls, campaign.guesses
    problems = list(campaign.errors)
    if controls.failures or not controls.rounds:
        problems.append(
            f"{controls.rounds} rounds of control users, failed: {controls.failures[:5]}"
        )
    if server_errors:
        problems.append(f"the portal had an error of its own: {sorted(set(server_errors))[:5]}")
    if guess_chance(guesses.per_day) > MAX_CHANCE_DAY * 1.0000001:
        problems.append("the chance of a guess in a day is above the bar")
    if guess_chance(guesses.per_month) > MAX_CHANCE_MONTH * 1.0000001:
        problems.append("the chance of a guess in 30 days is above the bar")
    return problems


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.attack", description=__doc__)
    parser.add_argument("--attempts", type=int, default=100_000)
    parser.add_argument("--accounts", type=int, default=1_000)
    parser.add_argument("--only", default="", help="only attacks whose name contains this")
    parser.add_argument("--out", type=Path, default=RESULTS / "attack.json")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
