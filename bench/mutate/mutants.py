"""Finding what can be broken in a source file, one small change at a time."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

SWAPS: dict[type[ast.cmpop], list[type[ast.cmpop]]] = {
    ast.Lt: [ast.LtE, ast.GtE],
    ast.LtE: [ast.Lt, ast.Gt],
    ast.Gt: [ast.GtE, ast.LtE],
    ast.GtE: [ast.Gt, ast.Lt],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.Is: [ast.IsNot],
    ast.IsNot: [ast.Is],
    ast.In: [ast.NotIn],
    ast.NotIn: [ast.In],
}
QUESTIONS = {"filter", "exclude"}  # each of their conditions is left out in turn
WORDS = {"__str__", "__repr__", "sentence", "place"}  # functions whose result only people read
# Classes and calls that give a shape and decide nothing: columns, fields of forms, dataclasses.
SHAPES = re.compile(r"models\.\w+|forms\.\w+|dataclass|field")


@dataclass(frozen=True)
class Mutant:
    """One change: ``text`` instead of what stands between two offsets of a file.

    ``scope`` is the outermost function it stands in, as Python names it; empty for what runs when
    the module is imported. ``line`` is where its statement begins. ``turn`` tells apart changes of
    one scope that read the same.
    """

    path: str
    scope: str
    line: int
    start: int
    end: int
    text: str
    what: str
    turn: int = 1

    def applied_to(self, source: bytes) -> bytes:
        return source[: self.start] + self.text.encode() + source[self.end :]

    @property
    def name(self) -> str:
        """A name that stays when lines move."""
        turn = f" ({self.turn})" if self.turn > 1 else ""
        return f"{self.path} {self.scope or 'at import'}: {self.what}{turn}"


def mutants_of(path: str, source: str) -> list[Mutant]:
    """Return every mutant of a file, in the order of its lines."""
    tree = ast.parse(source)
    finder = _Finder(path, source)
    finder.visit(tree)
    seen: Counter[str] = Counter()
    numbered = []
    for mutant in sorted(finder.found, key=lambda mutant: (mutant.start, mutant.what)):
        seen[mutant.name] += 1
        numbered.append(replace(mutant, turn=seen[mutant.name]))
    return numbered


class _Finder(ast.NodeVisitor):
    def __init__(self, path: str, source: str) -> None:
        self.found: list[Mutant] = []
        self._path = path
        self._scope: list[str] = []
        self._inside = ""
        self._line = 1
        lines = source.encode().splitlines(keepends=True)
        self._offsets = [0]
        for line in lines:
            self._offsets.append(self._offsets[-1] + len(line))

    def _add(self, node: ast.AST, text: str, what: str) -> None:
        start = self._offsets[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
        end = self._offsets[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]
        self.found.append(Mutant(self._path, self._inside, self._line, start, end, text, what))

    def visit(self, node: ast.AST) -> None:
        outer = self._line
        if isinstance(node, ast.stmt):
            self._line = node.lineno
        super().visit(node)
        self._line = outer

    # What is left alone: annotations, words for people, imports for type checks.

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for decorator in node.decorator_list:
            name = ast.unparse(decorator)
            if name.split("(")[0] in REMOVABLE:
                self._add(decorator, "(lambda view: view)", f"without @{name} on {node.name}")
        if node.name in WORDS:
            return
        self._scope.append(node.name)
        inside, self._inside = self._inside, self._inside or ".".join(self._scope)
        for statement in node.body:
            self.visit(statement)
        self._inside = inside
        self._scope.pop()

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._scope.append(node.name)
        for statement in node.body:
            self.visit(statement)
        self._scope.pop()

    def visit_Call(self, node: ast.Call) -> None:
        if not self._inside and SHAPES.fullmatch(ast.unparse(node.func)):
            return
        if isinstance(node.func, ast.Attribute) and node.func.attr in QUESTIONS:
            self._without_each_condition(node)
        self.generic_visit(node)

    def visit_Return(self, node: ast.Return) -> None:
        if isinstance(node.value, ast.Call) and ast.unparse(node.value).endswith(".exists()"):
            self._negate(node.value)
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) == "TYPE_CHECKING":
            return
        self._negate(node.test)
        self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        return

    # What is broken.

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._negate(node.test)
        self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        for index, operator in enumerate(node.ops):
            for other in SWAPS.get(type(operator), []):
                changed = ast.Compare(node.left, list(node.ops), node.comparators)
                changed.ops[index] = other()
                self._add(
                    node, f"({ast.unparse(changed)})", f"{_sign(operator)} -> {_sign(other())}"
                )
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        word = "and -> or" if isinstance(node.op, ast.And) else "or -> and"
        self._add(node, f"({ast.unparse(ast.BoolOp(other, node.values))})", word)
        for index, value in enumerate(node.values):
            rest = node.values[:index] + node.values[index + 1 :]
            kept = rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
            self._add(node, f"({ast.unparse(kept)})", f"without {_short(value)}")
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            self._add(node, f"({ast.unparse(node.operand)})", "without not")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self._add(node, str(not node.value), f"{node.value} -> {not node.value}")
        elif isinstance(node.value, int):
            for other in (node.value + 1, node.value - 1):
                self._add(node, f"({other})", f"{node.value} -> {other}")

    def visit_Raise(self, node: ast.Raise) -> None:
        self._add(node, "pass", f"without raise {_short(node.exc) if node.exc else ''}".strip())
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call):
            self._add(node, "pass", f"without {_short(node.value)}")
            self.generic_visit(node)

    def _without_each_condition(self, node: ast.Call) -> None:
        for number, condition in enumerate(node.keywords):
            kept = node.keywords[:number] + node.keywords[number + 1 :]
            if kept or node.args:
                text = ast.unparse(ast.Call(node.func, node.args, kept))
            else:
                text = f"{ast.unparse(node.func)}()"
            self._add(node, text, f"asks not for {_short(condition)}")

    def _negate(self, test: ast.expr) -> None:
        if not isinstance(test, ast.Compare | ast.BoolOp | ast.UnaryOp):
            self._add(test, f"(not ({ast.unparse(test)}))", f"not {_short(test)}")


REMOVABLE = {
    "require_POST",
    "require_safe",
    "mfa_required",
    "mfa_required_if_enrolled",
    "admins_only",
    "readers_only",
    "never_cache",
    "sensitive_post_parameters",
    "login_not_required",
}


def _short(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def _sign(operator: ast.cmpop) -> str:
    return ast.unparse(ast.Compare(ast.Name("a"), [operator], [ast.Name("b")]))[2:-2]


def every_mutant(sources: dict[str, str]) -> Iterator[Mutant]:
    for path, source in sources.items():
        yield from mutants_of(path, source)
