"""Paths and settings that the documents name exist."""

import re

import pytest

from tests.architecture.sources import ROOT

DOCUMENTS = sorted([*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")])
PATH = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.\w+)`")
RESULTS = "bench/results/"  # written by a run
VARIABLE = re.compile(r"""(?:env\.\w+|required)\(\s*"([A-Z_0-9]+)\"""")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_paths_a_document_names_exist(document):
    paths = {path for path in PATH.findall(document.read_text()) if not path.startswith(RESULTS)}
    assert [path for path in sorted(paths) if not (ROOT / path).is_file()] == []


def test_the_readme_names_every_setting_and_no_other():
    settings = (ROOT / "apono_portal" / "settings.py").read_text()
    table = re.findall(r"^\| `([A-Z_0-9]+)`", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert sorted(table) == sorted(set(VARIABLE.findall(settings)))


@pytest.mark.parametrize(
    "document", ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "docs/mission.md"]
)
def test_links_within_the_repository_resolve(document):
    text = (ROOT / document).read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if "://" not in link]
    assert [link for link in links if not ((ROOT / document).parent / link).exists()] == []
