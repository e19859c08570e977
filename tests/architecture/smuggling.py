"""Posting fields that an attacker adds, and comparing all rows before and after.

`smuggled_fields()` has a value for every field of every model; `own_form()` is the form of a page as
the browser would send it. `changes()` compares two `snapshot()`s.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from typing import Any

from django.apps import apps
from django.contrib.auth.models import Group
from django.db import connection, models, transaction

from apono_portal.users.models import User
from tests.architecture.sources import APPS

# Refused attempts are recorded too; the log has tests of its own.
RECORDED = {"audit.Event"}
MODELS = [
    model
    for model in apps.get_models(include_auto_created=True)
    if model.__module__.partition(".")[0] in APPS
    and model._meta.label not in RECORDED
    and not model._meta.proxy
    and model._meta.managed
] + [Group]
Rows = dict[tuple[str, Any], dict[str, Any]]


def snapshot() -> Rows:
    return {
        (model.__name__, row["pk"]): row
        for model in MODELS
        for row in model._base_manager.annotate(**_pk(model)).values()
    }


def _pk(model: type[models.Model]) -> dict[str, Any]:
    return {} if model._meta.pk.attname == "pk" else {"pk": models.F(model._meta.pk.attname)}


def changes(before: Rows, after: Rows) -> dict[str, set[Any]]:
    """Return "Model.field", "Model +" or "Model -" with the owners of the rows concerned."""
    changed: dict[str, set[Any]] = {}
    for key in before.keys() | after.keys():
        old, new = before.get(key), after.get(key)
        if old is None or new is None:
            name = f"{key[0]} {'-' if new is None else '+'}"
            changed.setdefault(name, set()).add(owner_of(key, old or new or {}))
            continue
        for field in old.keys() | new.keys():
            if old.get(field) != new.get(field):
                changed.setdefault(f"{key[0]}.{field}", set()).add(owner_of(key, new))
    return changed


def owner_of(key: tuple[str, Any], row: dict[str, Any]) -> Any:
    """Return the id of the user whose row it is, if it is one's."""
    if key[0] == "User":
        return key[1]
    names = ("user_id", "requester_id", "approver_id", "requested_by_id")
    return next((row[name] for name in names if row.get(name)), None)


def smuggled_fields(actor: User) -> dict[str, Any]:
    """Return a value for every field, each to the advantage of the actor."""
    values: dict[str, Any] = {"is_superuser": "on", "is_staff": "on", "pk": "1", "id": "1"}
    for model in MODELS:
        for field in model._meta.get_fields():
            if isinstance(field, models.Field):
                values.setdefault(field.name, _value(field, actor))
                values.setdefault(getattr(field, "attname", field.name), _value(field, actor))
    return values


def _value(field: Any, actor: User) -> Any:
    if field.is_relation:
        return str(actor.pk) if field.related_model is User else "1"
    if field.choices:
        values = [str(value) for value, _ in field.flatchoices]
        return "admin" if "admin" in values else values[-1]
    by_kind: list[tuple[Any, str]] = [
        (models.BooleanField, "on"),
        (models.IntegerField, "7"),
        (models.DateTimeField, "2001-01-01T00:00"),
        (models.TimeField, "09:00"),
        (models.DurationField, "9h"),
        (models.JSONField, "{}"),
        (models.EmailField, "smuggled@example.org"),
        (models.GenericIPAddressField, "192.0.2.66"),
    ]
    return next((value for kind, value in by_kind if isinstance(field, kind)), "smuggled")


class _Forms(HTMLParser):
    """Collects the values of the forms on a page that post to one URL."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.values: dict[str, list[str]] = {}
        self.names: set[str] = set()
        self._url, self._inside = url, False
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            to = values.get("action") or self._url
            self._inside = values.get("method", "").lower() == "post" and to == self._url
        name = values.get("name", "")
        if not self._inside or (not name and tag != "option"):
            return
        self.names.add(name)
        if tag == "input" and values.get("type") in {"checkbox", "radio"}:
            if "checked" in values:
                self.values.setdefault(name, []).append(values.get("value", "on"))
        elif tag == "input":
            self.values.setdefault(name, []).append(values.get("value", ""))
        elif tag == "textarea":
            self.values[name] = [""]
        elif tag == "select":
            self._select = name
        elif tag == "option" and "selected" in values:
            self.values.setdefault(self._select, []).append(values.get("value", ""))


def own_form(page: str, url: str, extra: dict[str, Any]) -> dict[str, Any]:
    """Return the page's own form as the browser would send it, with extra fields that it does not have.

    A reason is given, and a name is changed.
    """
    parser = _Forms(url)
    parser.feed(page)
    if not parser.values:
        return {}
    own = dict(parser.values)
    if "reason" in own:
        own["reason"] = ["A reason"]
    if "name" in own:
        own["name"] = [f"{own['name'][0]} again"]
    return own | {name: value for name, value in extra.items() if name not in parser.names}


WRITING = re.compile(
    r'^(?:INSERT INTO|UPDATE|DELETE FROM) "(?!django_session|users_passwordfailure|audit_event)'
)


@contextmanager
def rolled_back() -> Iterator[list[str]]:
    """Roll back what is done inside. Yields the statements that wrote."""
    writes: list[str] = []

    def collect(execute: Callable[..., Any], sql: str, *args: Any) -> Any:
        if WRITING.match(sql):
            writes.append(sql)
        return execute(sql, *args)

    with transaction.atomic(), connection.execute_wrapper(collect):
        yield writes
        transaction.set_rollback(True)
