"""`python -m bench.attack.mutants`: break one rule at a time, and see the campaign find it."""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.attack.__main__ import NotAtWork, Result, run_campaign
from bench.attack.browser import server_errors
from bench.attack.campaign import Campaign
from bench.attack.portal import ROOT, Portal, end_tidily, running_servers
from bench.attack.rules import RULES, Rule
from bench.attack.tally import guess_chance, table, write_json

RESULT = ROOT / "bench" / "results" / "attack-mutants.json"
KEPT = ROOT / "var" / "attack-mutants.json"
STARTS = 3  # of one portal, on a machine that has other things to do
LEFT_OUT = (".git", ".venv", "var", "__pycache__", "staticfiles", "test-results", "tests", "docs", ".*_cache")  # fmt: skip
SLOW = "over weeks"  # the campaign itself shows that nothing is seen there
OWNERS = (("olga", "127.0.0.10"),)


@dataclass(frozen=True)
class Found:
    """What the campaign saw of a broken rule; empty if it did not."""

    rule: str
    attempts: int
    successes: int
    seen: str
    trouble: str

    @property
    def verdict(self) -> str:
        return "found" if self.seen else "NOT FOUND"


def main() -> int:
    end_tidily()
    arguments = _arguments()
    rules = [rule for rule in RULES if arguments.only in rule.name]
    with running_servers() as servers:
        whole = Portal(servers, "whole", _copy(ROOT, servers.home / "whole"))
        whole.create(arguments.accounts)
        every = tuple({name: None for rule in rules for name in rule.attacks if name != SLOW})
        kept = Kept.load()
        control = kept.or_meet(
            f"unbroken, {len(rules)} rules' attacks",
            lambda: _meet(whole.copy_to("control", whole.source), "no rule broken", every, arguments.attempts),
        )  # fmt: skip
        clean = not control.seen and not control.trouble
        print(f"{'clean' if clean else 'NOT CLEAN':>9}  unbroken {control.seen} {control.trouble}", flush=True)  # fmt: skip
        found = []
        for rule in rules:
            one = kept.or_meet(
                rule.name, lambda rule=rule: _meet_broken(whole, rule, arguments.attempts)
            )
            found.append(one)
            print(f"{one.verdict:>9}  {rule.name}: {one.seen or one.trouble}", flush=True)
    rows = [(each.rule, each.attempts, each.successes, each.verdict, each.seen) for each in found]
    print("\n" + table(rows, ("rule broken", "attempts", "successes", "", "seen")))
    missed = [each.rule for each in found if not each.seen]
    if not arguments.only:
        content = {
            "rules": len(found),
            "found": len(found) - len(missed),
            "unbroken": asdict(control),
            "broken": [asdict(each) for each in found],
        }
        write_json(RESULT, content)
    return 0 if clean and not missed else 1


class Kept:
    """What was found at this commit already: a run that was cut short is taken up where it was."""

    def __init__(self, commit: str, found: dict[str, Found]) -> None:
        self._commit, self._found = commit, found

    @classmethod
    def load(cls) -> "Kept":
        commit = _git("rev-parse", "HEAD") + _git("status", "--porcelain")
        told = json.loads(KEPT.read_text()) if KEPT.exists() else {}
        found = told["found"] if told.get("commit") == commit else {}
        return cls(commit, {name: Found(**each) for name, each in found.items()})

    def or_meet(self, name: str, meet: Callable[[], Found]) -> Found:
        """Return what was found; what was not found, or not without trouble, is looked for again."""
        known = self._found.get(name)
        if known is None or known.trouble or (known.rule == name and not known.seen):
            self._found[name] = meet()
            KEPT.parent.mkdir(exist_ok=True)
            told = {name: asdict(each) for name, each in self._found.items()}
            KEPT.write_text(json.dumps({"commit": self._commit, "found": told}))
        return self._found[name]


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True).stdout


def _copy(source: Path, there: Path) -> Path:
    """The tree as it is now: whoever goes on working in it does not disturb the campaign."""
    return Path(shutil.copytree(source, there, ignore=shutil.ignore_patterns(*LEFT_OUT)))


def _meet_broken(whole: Portal, rule: Rule, attempts: int) -> Found:
    tree = _copy(whole.source, whole.servers.home / "broken")
    try:
        rule.break_in(tree)
        return _meet(whole.copy_to("broken", tree), rule.name, rule.attacks, attempts)
    finally:
        shutil.rmtree(tree)


def _meet(portal: Portal, name: str, attacks: tuple[str, ...], attempts: int) -> Found:
    """Run the attacks against one portal; what they see is a success, a lock-out, or a worse chance."""
    trouble = ""
    for _ in range(STARTS):
        server_errors.clear()
        try:
            portal.start()
            campaign = Campaign(portal, say=lambda text: None)
            result = run_campaign(campaign, attempts, attacks, owners=OWNERS)
        except NotAtWork as error:
            trouble = trouble or str(error)
            continue
        finally:
            portal.stop()
            portal.servers.target.clear()
        seen, trouble = _seen(campaign, result), _trouble(campaign, result)
        return Found(name, result.attempts, result.successes, seen, trouble)
    return Found(name, 0, 0, "", trouble)


def _seen(campaign: Campaign, result: Result) -> str:
    for score in result.scores:
        if score.seen:
            return f"{score.seen[0]} ({score.name})"
    if campaign.controls.locked_out:
        return "the owner's known browser was locked out"
    if guess_chance(campaign.patience.per_day) > 6.1e-5:
        return f"{campaign.patience.per_day} codes were looked at in a day"
    if guess_chance(campaign.patience.per_month) > 3.1e-4:
        return f"{campaign.patience.per_month} codes were looked at in 30 days"
    return ""


def _trouble(campaign: Campaign, result: Result) -> str:
    """What kept the campaign from going on. That is no finding."""
    problems = result.errors + campaign.controls.failures + sorted(set(server_errors))
    return problems[0] if problems else ""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.attack.mutants", description=__doc__)
    parser.add_argument("--attempts", type=int, default=400)
    parser.add_argument("--accounts", type=int, default=100)
    parser.add_argument("--only", default="", help="only rules whose name contains this")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
