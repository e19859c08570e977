"""Code, templates and documents use the field's terms, and none of the words they replaced."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.sources import APPS, ROOT, name_of, python_files, tree_of

# Whole words, also within identifiers. A hyphen stands for a space, an underscore or a hyphen.
REPLACED_WORDS = json.loads(Path(__file__).with_name("replaced_words.json").read_text())
_ANY_OF_THEM = "|".join(REPLACED_WORDS).replace("-", "[ _-]")
REPLACED = re.compile(rf"(?<![A-Za-z])(?:{_ANY_OF_THEM})(?![A-Za-z])", re.IGNORECASE)
# Names that say that a value was found or told, not what it is.
VAGUE_NAMES = {"told", "said", "asked", "wanted", "found", "each", "kept"}

# Text that may name a replaced word: the former name of a setting, which is refused with an error, and
# a field that a client of others reads.
ALLOWED = re.compile('SEALING_KEYS|PARKED_REQUEST_HOURS|TARGET_LOOK_INTERVAL_S|"requestor"')
FOLDERS = (*APPS, "templates", "static", "tests", "bench", "docs")
NOT_READ = {Path(__file__), ROOT / "CHANGELOG.md"}
SUFFIXES = {".py", ".html", ".js", ".css", ".md", ".toml", ".yml", ".yaml", ".txt"}


def text_files(folder: str) -> Iterator[Path]:
    paths = (ROOT / folder).rglob("*") if folder else ROOT.glob("*")
    for path in sorted(paths):
        if path.suffix in SUFFIXES and path not in NOT_READ and "results" not in path.parts:
            yield path


@pytest.mark.parametrize("folder", [*FOLDERS, ""], ids=lambda folder: folder or "root")
def test_no_replaced_word_is_left(folder):
    lines = [
        f"{name_of(path)}:{number}: {match[0]}"
        for path in text_files(folder)
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        for match in REPLACED.finditer(ALLOWED.sub("", line))
    ]
    assert lines == []


@pytest.mark.parametrize("folder", [*FOLDERS, ""], ids=lambda folder: folder or "root")
def test_no_file_has_a_replaced_name(folder):
    assert [name_of(path) for path in text_files(folder) if REPLACED.search(path.stem)] == []


@pytest.mark.parametrize("app", APPS)
def test_variables_say_what_they_hold(app):
    names = [
        f"{name_of(path)}:{node.lineno}: {name}"
        for path in python_files(app)
        for node, name in variables_of(tree_of(path))
        if name in VAGUE_NAMES
    ]
    assert names == []


def variables_of(tree: ast.Module) -> Iterator[tuple[ast.Name | ast.arg, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            yield node, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node, node.id


@pytest.mark.parametrize(
    "text", ["a Wish", "parked_requests", "held off", "held_off", "e-mail", "x.lane_of(y)"]
)
def test_a_replaced_word_would_be_found(text):
    assert REPLACED.search(text)


@pytest.mark.parametrize("text", ["indeed", "planes", "put in", "looked at"])
def test_other_words_are_left_alone(text):
    assert not REPLACED.search(text)
