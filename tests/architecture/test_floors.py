"""Imports run down the floors, never up and never around."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.sources import FLOORS, ROOT, name_of, python_files, tree_of

FORBIDDEN_NAMES = {"utils", "helpers", "common", "misc"}


# What any floor may import to type its arguments.
TYPES = {"apono_portal.users.models", "mfa.verification.window"}


def imported_modules(path: Path) -> Iterator[str]:
    """Return the modules a file imports at run time, and the types other than `TYPES`."""
    tree = tree_of(path)
    for_types = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in block.body
        if isinstance(node, ast.ImportFrom) and node.module in TYPES
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)} imports relatively"
            yield node.module or ""


def climbing_imports(path: Path, floor: str) -> list[str]:
    above = FLOORS[FLOORS.index(floor) + 1 :]
    return [
        module
        for module in imported_modules(path)
        if module.split(".")[0] in (*above, "tests") and not is_core(module)
    ]


def is_core(module: str) -> bool:
    """Whether a module is of the ground, which every floor may import."""
    return module.startswith("apono_portal.core.")


@pytest.mark.parametrize("floor", FLOORS)
def test_a_floor_imports_only_floors_below_it(floor):
    climbing = {
        name_of(path): found
        for path in python_files(floor)
        if (found := climbing_imports(path, floor))
    }
    assert climbing == {}


def test_an_import_of_a_higher_floor_would_be_found(tmp_path):
    module = tmp_path / "climber.py"
    module.write_text("def late():\n    from requests_app.models import Grant\n    return Grant\n")
    assert climbing_imports(module, "mfa") == ["requests_app.models"]


def test_the_ground_imports_nothing_of_ours():
    imports = {
        module
        for path in (ROOT / "apono_portal" / "core").rglob("*.py")
        for module in imported_modules(path)
        if module.split(".")[0] in (*FLOORS, "tests") and not is_core(module)
    }
    assert imports == set()


def test_connectors_know_neither_models_nor_settings():
    for path in (ROOT / "accessflows" / "connectors").rglob("*.py"):
        outside = [
            module
            for module in imported_modules(path)
            if module.split(".")[0] in {"django", *FLOORS}
            and not module.startswith("accessflows.connectors")
            and not is_core(module)
        ]
        assert outside == [], name_of(path)


def test_no_module_is_a_drawer_for_everything():
    drawers = [
        name_of(path)
        for floor in FLOORS
        for path in python_files(floor)
        if path.stem in FORBIDDEN_NAMES or path.parent.name in FORBIDDEN_NAMES
    ]
    assert drawers == []


def test_migrations_say_what_they_do():
    unnamed = [
        name_of(path)
        for floor in FLOORS
        for path in python_files(floor)
        if path.parent.name == "migrations" and "_auto_" in path.name
    ]
    assert unnamed == []
