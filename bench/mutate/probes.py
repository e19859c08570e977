"""Python's loader, taught to compile a few files otherwise: with probes in them, or broken.

A probe stands before each statement of each function and says that it was reached. Nothing on disk is
changed, so several processes share one tree.
"""

import ast
import builtins
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from types import CodeType
from typing import Any

PROBE = "_mutate_reached"
Place = tuple[str, int]  # a file's path in the tree, and the line a statement begins at


class _Prober(ast.NodeTransformer):
    def __init__(self, path: str) -> None:
        self._path = path

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        for inner in ast.walk(node):
            for name in ("body", "orelse", "finalbody"):
                block = getattr(inner, name, None)
                if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
                    setattr(inner, name, self._probed(block))
        return node

    def _probed(self, block: list[ast.stmt]) -> list[ast.stmt]:
        probed: list[ast.stmt] = []
        for statement in block:
            if not _is_probe(statement):
                probe = ast.parse(f"{PROBE}(({self._path!r}, {statement.lineno}))").body[0]
                for each in ast.walk(probe):
                    ast.copy_location(each, statement)
                probed += [probe, statement]
        return probed


def _is_probe(statement: ast.stmt) -> bool:
    return ast.unparse(statement).startswith(f"{PROBE}(")


def probed(path: str, source: str, filename: str) -> CodeType:
    """Return a file's code with probes."""
    tree = _Prober(path).visit(ast.parse(source))
    return compile(ast.fix_missing_locations(tree), filename, "exec")


def report_to(reached: Callable[[Place], Any]) -> None:
    """Have probes say where they stand to ``reached``."""
    setattr(builtins, PROBE, reached)


def load_as(code_of: dict[str, CodeType]) -> None:
    """Have Python take these codes, by file name, wherever it would compile or read a cached one."""
    usual = SourceFileLoader.get_code

    def get_code(self: SourceFileLoader, fullname: str) -> Any:
        return code_of.get(self.get_filename(fullname)) or usual(self, fullname)

    SourceFileLoader.get_code = get_code  # type: ignore[method-assign]
