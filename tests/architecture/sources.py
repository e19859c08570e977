"""The portal's own source files, for tests that read them."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# From the ground up: a floor imports itself and what stands left of it.
FLOORS = ("audit", "mfa", "accessflows", "requests_app", "apono_portal")


def python_files(floor: str) -> Iterator[Path]:
    yield from sorted((ROOT / floor).rglob("*.py"))


def template_files() -> Iterator[Path]:
    for folder in (ROOT / "templates", *(ROOT / floor for floor in FLOORS)):
        yield from sorted(folder.rglob("*.html"))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def service_files() -> Iterator[Path]:
    for floor in FLOORS:
        for path in python_files(floor):
            if path.name == "services.py" or path.parent.name == "services":
                yield path
