"""Every write is a service: keyword-only, annotated, and on the record."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.architecture.sources import FLOORS, name_of, python_files, service_files, tree_of

# Public functions of a services module that write nothing of their own, and why they stand there.
NOT_A_WRITE = {
    "mfa.lock_states": "takes the same locks of several people",
    "mfa.lock_state": "takes the row lock that other services decide under",
    "mfa.advance_epoch": "is a part of writes such as a change of password, which leave the event",
    "mfa.require_evidence": "reads the evidence under that lock, or refuses",
    "mfa.require_admin_evidence": "reads the evidence of an admin who is enrolled, or refuses",
    "audit.record": "is the record",
    "audit.record_many": "is the record of many at once",
    "users.link_to_set_password": "signs a link and writes nothing",
    "users.link_for_mail": "the same for a mail that is sent now",
}

Function = ast.FunctionDef


def public_services() -> Iterator[tuple[str, Path, Function]]:
    for path in service_files():
        for node in tree_of(path).body:
            if isinstance(node, Function) and not node.name.startswith("_"):
                yield f"{_floor_of(path)}.{node.name}", path, node


def _floor_of(path: Path) -> str:
    first = name_of(path).split("/")
    return "users" if first[:2] == ["apono_portal", "users"] else first[0]


SERVICES = [
    pytest.param(path, node, id=name)
    for name, path, node in public_services()
    if name not in NOT_A_WRITE
]


@pytest.mark.parametrize(("path", "node"), SERVICES)
def test_a_service_takes_keywords_only(path, node):
    assert [argument.arg for argument in node.args.args + node.args.posonlyargs] == []


@pytest.mark.parametrize(("path", "node"), SERVICES)
def test_a_service_is_annotated(path, node):
    bare = [argument.arg for argument in node.args.kwonlyargs if argument.annotation is None]
    assert bare == []
    assert node.returns is not None


def called_names(node: ast.AST) -> set[str]:
    """Names this code calls or hands on (``on_commit(partial(send, ...))``)."""
    return {child.id for child in ast.walk(node) if isinstance(child, ast.Name)} | {
        child.attr for child in ast.walk(node) if isinstance(child, ast.Attribute)
    }


@cache
def functions_by_name() -> dict[str, list[Function]]:
    """All functions of the portal outside views and forms, where a service may get its event from."""
    found: dict[str, list[Function]] = {}
    for floor in FLOORS:
        for path in python_files(floor):
            for node in ast.walk(tree_of(path)):
                if isinstance(node, Function) and node.name != "save":  # a row's, Django's
                    found.setdefault(node.name, []).append(node)
    return found


def leaves_event(node: Function) -> bool:
    known = functions_by_name()
    seen: set[str] = set()
    waiting = [node]
    while waiting:
        for name in called_names(waiting.pop()) - seen:
            if name in {"record", "record_many"}:
                return True
            seen.add(name)
            waiting.extend(known.get(name, []))
    return False


@pytest.mark.parametrize(("path", "node"), SERVICES)
def test_a_service_leaves_its_event(path, node):
    assert leaves_event(node), f"{name_of(path)}: {node.name} writes without a record"


def test_a_service_without_an_event_would_be_found():
    silent = ast.parse("def rename_person(*, user: int) -> None:\n    user.save()\n").body[0]
    assert not leaves_event(silent)


def test_every_exception_still_exists():
    assert set(NOT_A_WRITE) <= {name for name, _, _ in public_services()} | {
        name for name in NOT_A_WRITE if name.startswith("mfa.")
    }
