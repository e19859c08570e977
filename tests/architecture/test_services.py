"""Every write is a service: keyword-only, annotated, and recorded in the audit log."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.architecture.sources import name_of, python_files, tree_of

# Public functions of service modules that write nothing of their own, and why.
NOT_A_WRITE = {
    "mfa.require_account_admin": "refuses those who are no admins",
    "mfa.require_admin_evidence": "reads the evidence of an admin who is enrolled, or refuses",
    "mfa.parse_code": "parses",
    "mfa.find_method": "reads",
    "mfa.is_six_digits": "the same",
    "mfa.check_code": "is a part of verify_code, which records the outcome",
    "mfa.pending_set_up": "reads",
    "requests_app.transition": "takes the request that its callers have locked",
    "requests_app.transition_all": "the same for many requests",
    "audit.record": "is the record",
    "audit.record_many": "is the record of many at once",
    "users.user_digest": "reads",
    "users.group_digest": "reads",
    "users.group_name_digest": "reads",
    "apono_portal.webhook_digest": "reads",
    "apono_portal.provider_digest": "reads",
    "apono_portal.domain_digest": "reads",
    "apono_portal.break_glass_admins": "reads",
    "apono_portal.hash_of_plan": "reads",
    "users.link_to_set_password": "signs a link and writes nothing",
    "users.link_for_email": "the same for an email that is being sent",
    "users.reset_link_for_email": "the same",
}
# Modules that speak HTTP, or set up a portal.
NO_SERVICES = {"views", "forms", "admin", "management", "demo"}
# Recording, or handing it on to a function that does.
RECORDING = {"record", "record_many", "record_export", "transition", "transition_all"}

Function = ast.FunctionDef


def public_services() -> Iterator[tuple[str, Path, Function]]:
    for path in python_files():
        if NO_SERVICES & {*path.parts, path.stem}:
            continue
        for node in tree_of(path).body:
            if isinstance(node, Function) and is_service(path, node):
                yield f"{_app_of(path)}.{node.name}", path, node


def is_service(path: Path, node: Function) -> bool:
    """Return whether a public function has an actor, or is in a module of services.

    A module that records is one of services; its functions with positional arguments only read.
    """
    if node.name.startswith("_"):
        return False
    if path.name == "services.py" or path.parent.name == "services":
        return True
    positional = {argument.arg for argument in positional_arguments(node)}
    keywords = {argument.arg for argument in node.args.kwonlyargs}
    return "actor" in positional | keywords or bool(records(path) and keywords and not positional)


def records(path: Path) -> bool:
    return any(
        RECORDING & {alias.name for alias in node.names}
        for node in tree_of(path).body
        if isinstance(node, ast.ImportFrom)
    )


def positional_arguments(node: Function) -> list[ast.arg]:
    return node.args.posonlyargs + node.args.args


def _app_of(path: Path) -> str:
    parts = name_of(path).split("/")
    return "users" if parts[:2] == ["apono_portal", "users"] else parts[0]


SERVICES = [
    pytest.param(path, node, id=name)
    for name, path, node in public_services()
    if name not in NOT_A_WRITE
]


@pytest.mark.parametrize(("path", "node"), SERVICES)
def test_a_service_takes_keywords_only(path, node):
    assert [argument.arg for argument in positional_arguments(node)] == []


@pytest.mark.parametrize(("path", "node"), SERVICES)
def test_a_service_is_annotated(path, node):
    bare = [argument.arg for argument in node.args.kwonlyargs if argument.annotation is None]
    assert bare == []
    assert node.returns is not None


def called_names(node: ast.AST) -> set[str]:
    """Return the names that code calls or passes on (``on_commit(partial(send, ...))``)."""
    return {child.id for child in ast.walk(node) if isinstance(child, ast.Name)} | {
        child.attr for child in ast.walk(node) if isinstance(child, ast.Attribute)
    }


@cache
def functions_by_name() -> dict[str, list[Function]]:
    """Return all functions of the product, through which a service may record its event."""
    functions: dict[str, list[Function]] = {}
    for path in python_files():
        for node in ast.walk(tree_of(path)):
            if isinstance(node, Function) and node.name != "save":  # a row's, Django's
                functions.setdefault(node.name, []).append(node)
    return functions


def leaves_event(node: Function) -> bool:
    seen: set[str] = set()
    waiting = [node]
    while waiting:
        for name in called_names(waiting.pop()) - seen:
            if name in {"record", "record_many"}:
                return True
            seen.add(name)
            waiting.extend(functions_by_name().get(name, []))
    return False


@pytest.mark.parametrize(("path", "node"), SERVICES)
def test_a_service_records_an_event(path, node):
    assert leaves_event(node), f"{name_of(path)}: {node.name} writes without an event"


def test_a_service_without_an_event_would_be_found():
    silent = ast.parse("def rename_user(*, user: int) -> None:\n    user.save()\n").body[0]
    assert not leaves_event(silent)


def test_every_exception_still_exists():
    assert set(NOT_A_WRITE) <= {name for name, _, _ in public_services()}


def test_services_are_found_in_every_app():
    apps = {name.partition(".")[0] for name, _, _ in public_services()}
    assert apps >= {"audit", "mfa", "accessflows", "requests_app", "users", "apono_portal"}
