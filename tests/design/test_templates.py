"""What holds for every template: nothing inline, components that earn their place, icons that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
COMPONENTS = sorted((ROOT / "templates" / "components").glob("*.html"))
INLINE = {
    "style attribute": re.compile(r"<[^>]*\sstyle\s*=", re.IGNORECASE),
    "style element": re.compile(r"<style\b", re.IGNORECASE),
    "handler": re.compile(r"<[^>]*\son[a-z]+\s*=", re.IGNORECASE),
    "script without src": re.compile(r"<script\b(?![^>]*\bsrc=)(?![^>]*application/json)", re.I),
    "javascript address": re.compile(r"javascript:", re.IGNORECASE),
}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT / "templates"))


@pytest.mark.parametrize("template", TEMPLATES, ids=name_of)
def test_template_holds_nothing_inline(template: Path) -> None:
    source = template.read_text()
    assert [what for what, pattern in INLINE.items() if pattern.search(source)] == []


@pytest.mark.parametrize("template", TEMPLATES, ids=name_of)
def test_template_uses_icons_that_exist(template: Path) -> None:
    drawn = set(
        re.findall(r'<symbol id="([\w-]+)"', (COMPONENTS[0].parent / "icons.html").read_text())
    )
    used = set(re.findall(r'<use href="#([\w-]+)"', template.read_text()))
    assert used <= drawn


@pytest.mark.parametrize("component", COMPONENTS, ids=name_of)
def test_component_serves_two_places(component: Path) -> None:
    include = f'"{name_of(component)}"'
    users = [t for t in TEMPLATES if t.name != "styleguide.html" and include in t.read_text()]
    if component.name == "icons.html":  # the sprite: once, for every page
        assert [name_of(t) for t in users] == ["base.html"]
    else:
        assert len(users) >= 2
