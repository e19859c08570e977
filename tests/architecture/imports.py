"""The imports of a module, read from its source."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.architecture.sources import ROOT, name_of, tree_of


class Import(NamedTuple):
    """A module that is imported, and whether for types only."""

    module: str
    is_for_types: bool


def imports_of(path: Path) -> Iterator[Import]:
    """Yield the imports of a file, also those within functions."""
    for_types = {
        id(node)
        for block in ast.walk(tree_of(path))
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for statement in block.body
        for node in ast.walk(statement)
    }
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, id(node) in for_types)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)} imports relatively"
            for alias in node.names:
                yield Import(_module(node.module or "", alias.name), id(node) in for_types)


def _module(package: str, name: str) -> str:
    """Return what ``from package import name`` imports: a module, or a name of the package's."""
    submodule = ROOT.joinpath(*package.split("."), name)
    if submodule.with_suffix(".py").is_file() or (submodule / "__init__.py").is_file():
        return f"{package}.{name}"
    return package
