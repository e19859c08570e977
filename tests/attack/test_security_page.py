"""docs/security.md names tests and attacks; each of them is there."""

import importlib
import re
from pathlib import Path

import pytest

from bench.attack.__main__ import MODULES
from bench.attack.campaign import ATTACKS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()
TESTS = sorted(set(re.findall(r"tests/(?:\w+/)+test_\w+\.py::test_\w+", PAGE)))


@pytest.mark.parametrize("test", TESTS)
def test_a_named_test_exists(test: str) -> None:
    path, _, name = test.partition("::")
    assert f"def {name}(" in (ROOT / path).read_text()


def test_a_named_file_of_tests_exists() -> None:
    folder = ""
    for named in re.findall(r"tests/(?:\w+/)+test_\w+\.py|\btest_\w+\.py", PAGE):
        folder = named.rpartition("/")[0] or folder
        assert (ROOT / folder / named.rpartition("/")[2]).exists(), named


def test_every_attack_is_named_and_every_named_attack_exists() -> None:
    for module in MODULES:
        importlib.import_module(f"bench.attack.attacks.{module}")
    names = {attack.name for attack in ATTACKS}
    tables = [line for line in PAGE.splitlines() if line.startswith("|")]
    named = {name for line in tables for name in re.findall(r'"([^"]+)"', line)}
    assert named - {"Revoked", "Deleted"} == names


ROWS = [*(f"A{n}" for n in (1, 2, 3, 4, 5, 6, 8, 10, 11, 12, 13, 14, 16, 17, 19)),
        *(f"M{n}" for n in (*range(1, 10), 11, 12, 13)),
        *(f"R{n}" for n in (1, 2, 6, 7, 8, 9, 10, 11, 12, 13, 16)), "L1", "L4",
        *map(str, range(1, 11))]  # fmt: skip


@pytest.mark.parametrize("row", ROWS)
def test_every_row_of_what_happened_to_others_is_held(row: str) -> None:
    [line] = [line for line in PAGE.splitlines() if line.startswith(f"| {row} |")]
    assert "::test_" in line or "attack" in line
