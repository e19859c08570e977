"""`python -m bench.attack.grantee.mutants`: break one rule at a time, and see the chapter find it."""

import argparse
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from apono_portal.demo.postgres_server import available_versions
from bench.attack.grantee import target
from bench.attack.grantee.environment import running_chapter
from bench.attack.grantee.rules import RULES
from bench.attack.mutants import copy_source
from bench.attack.rules import Rule
from bench.environment import RESULTS, ROOT, Application, exit_on_sigterm, temporary_folder
from bench.report import write_json

if TYPE_CHECKING:
    from bench.attack.grantee.chapter import Chapter

REMOVED_TIMEOUT_S = 15


@dataclass(frozen=True)
class Finding:
    """What the chapter found of a broken rule, "" if nothing."""

    rule: str
    detail: str


def main() -> int:
    exit_on_sigterm()
    options = _options()
    rules = [rule for rule in RULES if options.only in rule.name]
    names = sorted({name for rule in rules for name in rule.attacks})
    with running_chapter(options.version) as chapter, temporary_folder("mutants") as home:
        control = Finding("no rule broken", _attack(chapter, names))
        print(
            f"{'NOT CLEAN' if control.detail else 'clean':>9}  unbroken {control.detail}",
            flush=True,
        )
        chapter.removed_timeout_s = REMOVED_TIMEOUT_S
        findings = []
        for rule in rules:
            findings.append(Finding(rule.name, _attack_broken(chapter, rule, home / "broken")))
            verdict = "found" if findings[-1].detail else "NOT FOUND"
            print(f"{verdict:>9}  {rule.name}: {findings[-1].detail}", flush=True)
    number = sum(bool(finding.detail) for finding in findings)
    print(f"{number} of {len(findings)} broken rules were found")
    if not options.only:
        content = {"rules": len(findings), "found": number, "unbroken": asdict(control)}
        content["broken"] = [asdict(finding) for finding in findings]
        write_json(RESULTS / "attack-grantee-mutants.json", content)
    return 0 if not control.detail and number == len(findings) else 1


def _attack(chapter: "Chapter", names: list[str] | tuple[str, ...]) -> str:
    """Return what the first success or broken expectation was, "" if there is none."""
    for result in chapter.run(names, ends=["revoked"]):
        for detail in [*result.successes, result.problem]:
            if detail:
                return f"{detail} ({result.tactic})"
    return ""


def _attack_broken(chapter: "Chapter", rule: Rule, tree: Path) -> str:
    """Attack with a worker that runs from a broken copy."""
    environment = chapter.environment
    workers = environment.workers
    workers.stop()
    copy_source(ROOT, tree)
    try:
        rule.apply(tree)
        variables = {**workers.environment, "PYTHONPATH": str(tree)}
        environment.workers = Application(variables, workers.log, tree)
        environment.ensure_workers(1)
        return _attack(chapter, rule.attacks)
    finally:
        environment.workers.stop()
        environment.workers = workers
        shutil.rmtree(tree)
        target.drop_logins(environment)
        environment.ensure_workers(1)
        chapter.portal.wait_until_idle(30)


def _options() -> argparse.Namespace:
    versions = available_versions()
    parser = argparse.ArgumentParser(
        prog="python -m bench.attack.grantee.mutants", description=__doc__
    )
    parser.add_argument("--version", type=int, default=max(versions), choices=sorted(versions))
    parser.add_argument("--only", default="", help="only rules whose name contains this")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
