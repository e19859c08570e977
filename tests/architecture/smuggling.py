"""What a visitor with bad intent posts, and what came of it.

`smuggled()` is a value for every field of every model of the portal; `form_of()` is the form a page
offers, filled as it stands. `changes()` compares two `snapshot()`s of all rows.
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
from tests.architecture.sources import FLOORS

# The record itself grows with everything that is tried; its own tests hold it.
RECORD = {"audit.Event"}
MODELS = [
    model
    for model in apps.get_models(include_auto_created=True)
    if model.__module__.partition(".")[0] in FLOORS
    and model._meta.label not in RECORD
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
    """Return "Model.field", "Model +" or "Model -" with the rows that this happened to."""
    found: dict[str, set[Any]] = {}
    for key in before.keys() | after.keys():
        old, new = before.get(key), after.get(key)
        if old is None or new is None:
            name = f"{key[0]} {'-' if new is None else '+'}"
            found.setdefault(name, set()).add(owner_of(key, old or new or {}))
            continue
        for field in old.keys() | new.keys():
            if old.get(field) != new.get(field):
                found.setdefault(f"{key[0]}.{field}", set()).add(owner_of(key, new))
    return found


def owner_of(key: tuple[str, Any], row: dict[str, Any]) -> Any:
    """Return whose row it is, None if nobody's in particular."""
    if key[0] == "User":
        return key[1]
    names = ("user_id", "requester_id", "approver_id", "requested_by_id")
    return next((row[name] for name in names if row.get(name)), None)


def smuggled(actor: Any) -> dict[str, Any]:
    """A value for every field anywhere, each to the advantage of the actor."""
    wanted: dict[str, Any] = {"is_superuser": "on", "is_staff": "on", "pk": "1", "id": "1"}
    for model in MODELS:
        for field in model._meta.get_fields():
            if isinstance(field, models.Field):
                wanted.setdefault(field.name, _value(field, actor))
                wanted.setdefault(getattr(field, "attname", field.name), _value(field, actor))
    return wanted


def _value(field: Any, actor: Any) -> Any:
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
    """Collects the values of the forms on a page that post to one address."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.values: dict[str, list[str]] = {}
        self.names: set[str] = set()
        self._address, self._inside = address, False
        self._area, self._select = "", ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag == "form":
            to = said.get("action") or self._address
            self._inside = said.get("method", "").lower() == "post" and to == self._address
        name = said.get("name", "")
        if not self._inside or (not name and tag != "option"):
            return
        self.names.add(name)
        if tag == "input" and said.get("type") in {"checkbox", "radio"}:
            if "checked" in said:
                self.values.setdefault(name, []).append(said.get("value", "on"))
        elif tag == "input":
            self.values.setdefault(name, []).append(said.get("value", ""))
        elif tag == "textarea":
            self.values[name] = [""]
        elif tag == "select":
            self._select = name
        elif tag == "option" and "selected" in said:
            self.values.setdefault(self._select, []).append(said.get("value", ""))


def form_of(page: str, address: str, beside: dict[str, Any]) -> dict[str, Any]:
    """Return the page's own form as the browser would send it, and all that it does not have beside it.

    A reason is given, and what has a name gets another.
    """
    parser = _Forms(address)
    parser.feed(page)
    if not parser.values:
        return {}
    own = dict(parser.values)
    if "reason" in own:
        own["reason"] = ["Because of the move"]
    if "name" in own:
        own["name"] = [f"{own['name'][0]} again"]
    return own | {name: value for name, value in beside.items() if name not in parser.names}


WRITING = re.compile(r'^(?:INSERT INTO|UPDATE|DELETE FROM) "(?!django_session|axes_|audit_event)')


@contextmanager
def undone() -> Iterator[list[str]]:
    """Undo all that is done inside. Yields the statements that write."""
    written: list[str] = []

    def note(execute: Callable[..., Any], sql: str, *args: Any) -> Any:
        if WRITING.match(sql):
            written.append(sql)
        return execute(sql, *args)

    with transaction.atomic(), connection.execute_wrapper(note):
        yield written
        transaction.set_rollback(True)
