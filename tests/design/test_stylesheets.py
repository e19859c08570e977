"""Every page links the stylesheets of the classes it uses, and no others."""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "templates"
CSS = ROOT / "static" / "css"
LINK = re.compile(r"static 'css/([\w/-]+\.css)'")
PARTS = re.compile(r'"([\w/.,]+\.html(?:,[\w/.,]+)?)"')
CLASSES = re.compile(r'(?<![\w-])class="([^"]*)"')
FORM_FIELD = re.compile(r"as_crispy_field|\|crispy")
PAGES = sorted(
    str(path.relative_to(TEMPLATES))
    for path in TEMPLATES.rglob("*.html")
    if re.match(r"\{% extends (?!\"(?:admin/|base\.html))", path.read_text())
    and path.parent.name not in {"admin", "layouts"}
)


@cache
def sheets_of_class() -> dict[str, set[str]]:
    """Return the sheets that define each class: those with a rule that begins with it."""
    found: dict[str, set[str]] = {}
    for sheet in CSS.rglob("*.css"):
        for name in re.findall(r"^  \.([\w-]+)", sheet.read_text(), re.MULTILINE):
            found.setdefault(name, set()).add(str(sheet.relative_to(CSS)))
    return found


@cache
def parts_of(name: str) -> set[str]:
    """Return a template with all it extends and includes."""
    source = (TEMPLATES / name).read_text()
    named = {part for parts in PARTS.findall(source) for part in parts.split(",")}
    if FORM_FIELD.search(source):
        named |= {f"crispy/{kind}.html" for kind in ("errors", "field")}
    named = {part for part in named if part != name and (TEMPLATES / part).exists()}
    return {name}.union(*map(parts_of, named))


def classes_in(source: str) -> set[str]:
    plain = (re.sub(r"\{[%{].*?[%}]\}", " ", value) for value in CLASSES.findall(source))
    return {name for value in plain for name in value.split()}


@pytest.mark.parametrize("page", PAGES)
def test_page_links_what_it_uses(page: str) -> None:
    sources = [(TEMPLATES / part).read_text() for part in parts_of(page)]
    linked = {sheet for source in sources for sheet in LINK.findall(source)}
    used = set().union(*map(classes_in, sources))
    owners = [sheets_of_class()[name] for name in used if name in sheets_of_class()]
    assert [sheets for sheets in owners if not sheets & linked] == []
    own = set(LINK.findall((TEMPLATES / page).read_text()))
    assert own <= set().union(*owners)


def test_every_sheet_is_linked() -> None:
    linked = {
        sheet for path in TEMPLATES.rglob("*.html") for sheet in LINK.findall(path.read_text())
    }
    assert {str(sheet.relative_to(CSS)) for sheet in CSS.rglob("*.css")} == linked
