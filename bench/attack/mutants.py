"""`python -m bench.attack.mutants`: break one rule at a time, and see the campaign find it."""

import argparse
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.attack.__main__ import ControlsFailed, run_campaign
from bench.attack.campaign import Campaign
from bench.attack.portal import Portal, running_servers
from bench.attack.rules import RULES, Rule
from bench.attack.scoring import guess_chance
from bench.browser import server_errors
from bench.environment import RESULTS, ROOT, exit_on_sigterm
from bench.report import write_json

MAX_STARTS = 3  # of one portal, on a machine that has other things to do
NOT_COPIED = (".git", ".venv", "var", "__pycache__", "staticfiles", "test-results", "tests", "docs", ".*_cache")  # fmt: skip
SLOW = "over weeks"  # the campaign itself shows that nothing is found there
CONTROL_USERS = (("olga", "127.0.0.10"),)


@dataclass(frozen=True)
class Finding:
    """What the campaign found of a broken rule, "" if nothing. ``trouble`` kept it from going on."""

    rule: str
    attempts: int
    successes: int
    detail: str
    trouble: str

    @property
    def verdict(self) -> str:
        return "found" if self.detail else "NOT FOUND"


def main() -> int:
    exit_on_sigterm()
    options = _options()
    rules = [rule for rule in RULES if options.only in rule.name]
    attacks = tuple({name for rule in rules for name in rule.attacks if name != SLOW})
    findings = []
    with running_servers() as servers:
        original = Portal(servers, "original", copy_source(ROOT, servers.home / "original"))
        original.create(options.accounts)
        portal = original.copy_to("control", original.source)
        control = _run(portal, "no rule broken", attacks, options.attempts)
        is_clean = not control.detail and not control.trouble
        verdict = "clean" if is_clean else "NOT CLEAN"
        print(f"{verdict:>9}  unbroken {control.detail} {control.trouble}", flush=True)
        for rule in rules:
            finding = _run_broken(original, rule, options.attempts)
            findings.append(finding)
            detail = finding.detail or finding.trouble
            print(f"{finding.verdict:>9}  {rule.name}: {detail}", flush=True)
    number = sum(bool(finding.detail) for finding in findings)
    print(f"{number} of {len(findings)} broken rules were found")
    if not options.only:
        content = {"rules": len(findings), "found": number, "unbroken": asdict(control)}
        content["broken"] = [asdict(finding) for finding in findings]
        write_json(RESULTS / "attack-mutants.json", content)
    return 0 if is_clean and number == len(findings) else 1


def copy_source(source: Path, destination: Path) -> Path:
    """Copy the tree, so that whoever goes on working in it does not disturb the campaign."""
    return Path(shutil.copytree(source, destination, ignore=shutil.ignore_patterns(*NOT_COPIED)))


def _run_broken(original: Portal, rule: Rule, attempts: int) -> Finding:
    tree = copy_source(original.source, original.servers.home / "broken")
    try:
        rule.apply(tree)
        return _run(original.copy_to("broken", tree), rule.name, rule.attacks, attempts)
    finally:
        shutil.rmtree(tree)


def _run(portal: Portal, name: str, attacks: tuple[str, ...], attempts: int) -> Finding:
    """Attack one portal. A success, a lock-out or a worse chance of guessing is a finding."""
    trouble = ""
    for _ in range(MAX_STARTS):
        server_errors.clear()
        try:
            portal.start()
            campaign = Campaign(portal, say=lambda text: None)
            run_campaign(campaign, attempts, attacks, control_users=CONTROL_USERS)
        except ControlsFailed as error:
            trouble = trouble or str(error)
            continue
        finally:
            portal.stop()
            portal.servers.target.clear()
        problems = campaign.errors + campaign.controls.failures + sorted(set(server_errors))
        trouble = problems[0] if problems else ""
        return Finding(name, campaign.attempts, campaign.successes, _detail(campaign), trouble)
    return Finding(name, 0, 0, "", trouble)


def _detail(campaign: Campaign) -> str:
    for score in campaign.scores:
        if score.details:
            return f"{score.details[0]} ({score.name})"
    day, month = campaign.guesses.per_day, campaign.guesses.per_month
    if campaign.controls.locked_out:
        return "the owner's trusted browser was locked out"
    if guess_chance(day) > 6.1e-5 or guess_chance(month) > 3.1e-4:
        return f"{day} codes were checked in a day, {month} in 30 days"
    return ""


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.attack.mutants", description=__doc__)
    parser.add_argument("--attempts", type=int, default=400)
    parser.add_argument("--accounts", type=int, default=100)
    parser.add_argument("--only", default="", help="only rules whose name contains this")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
