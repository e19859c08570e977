"""Paths, tests and settings that the documents name exist."""

import re

import pytest

from tests.architecture.sources import ROOT

MISSION = ROOT / "docs" / "mission.md"
PATH = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.\w+)`")
TEST = re.compile(r"`(test_\w+)`")
VARIABLE = re.compile(r"""(?:env\.\w+|required)\(\s*"([A-Z_0-9]+)\"""")


@pytest.mark.parametrize("path", sorted(set(PATH.findall(MISSION.read_text()))))
def test_a_path_the_mission_names_exists(path):
    assert (ROOT / path).is_file()


@pytest.mark.parametrize("name", sorted(set(TEST.findall(MISSION.read_text()))))
def test_a_test_the_mission_names_exists(name):
    files = (ROOT / "tests").rglob("test_*.py")
    assert any(f"def {name}(" in file.read_text() for file in files)


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
