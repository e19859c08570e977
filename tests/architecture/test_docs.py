"""Paths that the documents name exist."""

import re

import pytest

from tests.architecture.sources import ROOT

DOCUMENTS = sorted([*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")])
PATH = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.\w+)`")
RESULTS = "bench/results/"  # written by a run


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_paths_a_document_names_exist(document):
    paths = {path for path in PATH.findall(document.read_text()) if not path.startswith(RESULTS)}
    assert [path for path in sorted(paths) if not (ROOT / path).is_file()] == []


@pytest.mark.parametrize(
    "document", ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "docs/mission.md"]
)
def test_links_within_the_repository_resolve(document):
    text = (ROOT / document).read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if "://" not in link]
    assert [link for link in links if not ((ROOT / document).parent / link).exists()] == []
