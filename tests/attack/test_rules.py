"""Every rule the campaign is tried on can still be broken where it says."""

from pathlib import Path

import pytest

from bench.attack.grantee.rules import RULES as GRANTEE_RULES
from bench.attack.rules import RULES, Edit, Rule

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("rule", RULES + GRANTEE_RULES, ids=lambda rule: rule.name)
def test_a_rule_is_broken_in_exactly_one_way(rule: Rule, tmp_path: Path) -> None:
    for path in {edit.path for edit in rule.edits}:
        place = tmp_path / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text((ROOT / path).read_text())
    rule.apply(tmp_path)
    for edit in rule.edits:
        compile((tmp_path / edit.path).read_text(), edit.path, "exec")


def test_a_rule_that_moved_is_reported(tmp_path: Path) -> None:
    (tmp_path / "rules.py").write_text("held = True\n")
    with pytest.raises(LookupError, match="has 0 of"):
        Rule("r", (), [Edit("rules.py", "no such text", "")]).apply(tmp_path)
