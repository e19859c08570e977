"""Code, templates and documents use the field's terms, and none of the words they replaced."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.sources import APPS, ROOT, name_of, python_files, tree_of

# Whole words, also within identifiers. A hyphen stands for a space, an underscore or a hyphen.
REPLACED_WORDS = """
    wish wishes wish_of wish_again WishForm askings asked_by Prospect prospects prospect_of
    could_be_approved outlook outlook_of Happening shelf shelf_of LookForm WhyYou why_you stand_of
    seal seals sealed sealer sealing unseal unsealed reseal resealed resealing SEALING_KEYS SealBroken
    mark_of moving_mark most_urgent vigil tell_on_time look_ahead hear_from_database lose_database
    begin_waiting waiting_to_begin due_for_look look_over next_look_at looked_at end_groundless
    groundless why_void why_unapproved why_too_late_to_extend why_not_extended_by send_to_end
    send_back note_identity note_residue residue parked parking lane lanes lane_of known-browsers
    known-browser KnownBrowser KnownBrowsers held-off run_try lift_hold recency deed deeds deed_of
    roll-call roll-calls RollCall call_rolls FoundRole plain_words proof_words void_approvals
    sessions_told told_pages told_findings one_arena quick_tags teller TellsWords BeginsAt LooksLike
    BeginsWords with_extent about_rows NotTaken is_down put_in late_part late_parts carry_mail
    record_each leave_related OnTheRecord seen_browsers chore chores saboteur tally requestor
    requestors e-mail e-mails mend mends mended floors judging
"""
_ANY_OF_THEM = "|".join(REPLACED_WORDS.split()).replace("-", "[ _-]")
REPLACED = re.compile(rf"(?<![A-Za-z])(?:{_ANY_OF_THEM})(?![A-Za-z])", re.IGNORECASE)
# Names that say that a value was found or told, not what it is.
VAGUE_NAMES = {"told", "said", "asked", "wanted", "found", "each", "kept"}

FOLDERS = (*APPS, "templates", "static", "tests", "bench", "docs")
SUFFIXES = {".py", ".html", ".js", ".css", ".md", ".toml", ".yml", ".yaml", ".txt"}


def text_files(folder: str) -> Iterator[Path]:
    paths = (ROOT / folder).rglob("*") if folder else ROOT.glob("*")
    for path in sorted(paths):
        if path.suffix in SUFFIXES and path != Path(__file__) and "results" not in path.parts:
            yield path


@pytest.mark.parametrize("folder", [*FOLDERS, ""], ids=lambda folder: folder or "root")
def test_no_replaced_word_is_left(folder):
    lines = [
        f"{name_of(path)}:{number}: {match[0]}"
        for path in text_files(folder)
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        for match in REPLACED.finditer(line)
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
