"""The product's own source files, for tests that read them."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# From the lowest up: a layer imports itself and the layers before it.
LAYERS = ("apono_portal.core", "audit", "mfa", "accessflows", "requests_app", "apono_portal")
APPS = LAYERS[1:]


def python_files(*apps: str) -> Iterator[Path]:
    for app in apps or APPS:
        yield from sorted((ROOT / app).rglob("*.py"))


def template_files() -> Iterator[Path]:
    for folder in ("templates", *APPS):
        yield from sorted((ROOT / folder).rglob("*.html"))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def module_of(path: Path) -> str:
    """Return the dotted name of a module; a package's is that of its ``__init__``."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def layer_of(module: str) -> str | None:
    """Return the layer of a module, None if it is not the product's."""
    return next((layer for layer in LAYERS if f"{module}.".startswith(f"{layer}.")), None)
