"""Imports run one way: from a layer to those below it, and never in a circle."""

from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.architecture.imports import imports_of
from tests.architecture.sources import LAYERS, ROOT, layer_of, module_of, name_of, python_files

# What a lower layer may import for types only, and from which files; None is any file.
TYPES_FROM_ABOVE = {
    "apono_portal.users.models": None,
    "mfa.verification.window": {"apono_portal/core/web/types.py"},
}
FORBIDDEN_NAMES = {"utils", "helpers", "common", "misc"}
# Names of a role that every app or package may have a module for.
ROLES = {
    "__init__",
    "models",
    "querysets",
    "policies",
    "protection",  # the protected actions of an app
    "urls",
    "views",
    "forms",
    "services",
    "selectors",
    "admin",
    "apps",
    "exceptions",
}


def files_of(layer: str) -> list[Path]:
    files = python_files(layer.replace(".", "/"))
    return [path for path in files if layer_of(module_of(path)) == layer]


def climbing_imports(path: Path, layer: str) -> list[str]:
    """Return the modules of higher layers, or of the tests, that a file imports."""
    above = LAYERS[LAYERS.index(layer) + 1 :]
    return [
        module
        for module, is_for_types in imports_of(path)
        if layer_of(module) in above or module.partition(".")[0] == "tests"
        if not (is_for_types and may_import_for_types(path, module))
    ]


def may_import_for_types(path: Path, module: str) -> bool:
    files = TYPES_FROM_ABOVE.get(module, set())
    return files is None or (path.is_relative_to(ROOT) and name_of(path) in files)


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_imports_only_layers_below_it(layer):
    climbing = {
        name_of(path): modules
        for path in files_of(layer)
        if (modules := climbing_imports(path, layer))
    }
    assert climbing == {}


@pytest.mark.parametrize(
    "source",
    [
        "def late():\n    from requests_app.models import Grant\n    return Grant\n",
        "from requests_app import models\n",
        "from apono_portal.users.models import User\n",
        "if TYPE_CHECKING:\n    from requests_app.models import Grant\n",
        "if TYPE_CHECKING:\n    from mfa.verification.window import WindowState\n",
    ],
)
def test_an_import_of_a_higher_layer_would_be_found(tmp_path, source):
    module = tmp_path / "climber.py"
    module.write_text(source)
    assert len(climbing_imports(module, "audit")) == 1


def test_the_user_may_be_imported_for_types(tmp_path):
    module = tmp_path / "typed.py"
    module.write_text("if TYPE_CHECKING:\n    from apono_portal.users.models import User\n")
    assert climbing_imports(module, "audit") == []


def cycle_in(graph: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_modules_do_not_import_each_other_in_a_circle():
    files = {module_of(path): path for path in python_files()}
    graph = {
        module: {
            imported
            for imported, is_for_types in imports_of(path)
            if imported in files and not is_for_types
        }
        - {module}
        for module, path in files.items()
    }
    assert cycle_in(graph) == []


def test_a_circle_would_be_found():
    assert cycle_in({"a": {"b"}, "b": {"c"}, "c": {"a"}}) != []


def test_no_name_stands_for_more_than_two_modules():
    connectors = ROOT / "accessflows" / "connectors"  # packages of the same shape
    stems = Counter(
        path.stem
        for path in python_files()
        if path.stem not in ROLES
        and path.parent.name != "migrations"
        and path.parent.parent != connectors
    )
    assert {stem: count for stem, count in stems.items() if count > 2} == {}


def test_connectors_know_neither_models_nor_settings():
    for path in (ROOT / "accessflows" / "connectors").rglob("*.py"):
        outside = [
            module
            for module, _ in imports_of(path)
            if layer_of(module) not in (None, "apono_portal.core")
            or module.partition(".")[0] == "django"
            if not module.startswith("accessflows.connectors")
        ]
        assert outside == [], name_of(path)


def test_no_module_is_a_catch_all():
    catch_alls = [
        name_of(path)
        for path in python_files()
        if path.stem in FORBIDDEN_NAMES or path.parent.name in FORBIDDEN_NAMES
    ]
    assert catch_alls == []


def test_migrations_have_names():
    unnamed = [
        name_of(path)
        for path in python_files()
        if path.parent.name == "migrations" and "_auto_" in path.name
    ]
    assert unnamed == []
