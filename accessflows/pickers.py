"""Pickers: form fields that search users and groups instead of listing all of them.

What is chosen is a checkbox (or a radio button) in the form, and so is every match of a search. With
script, matches appear while typing (`accessflows.flows.views.pick`); without it, the button "Find"
sends the form, which comes back with them. A page shows at most what is chosen and `MAX_MATCHES`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db.models import Model, QuerySet

from accessflows.form_fields import UNKNOWN_CHOICE, RowsField

USER, GROUP = "user", "group"
NOUNS = {USER: "users", GROUP: "groups"}
MAX_MATCHES = 8
MAX_CHOSEN = 200
MAX_TEXT = 100
FIND = "find-"  # before the name of a field: its search
_ROW_ID = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True)
class Option:
    """A user or group to choose, with what tells namesakes apart."""

    value: int
    label: str
    detail: str = ""


@dataclass(frozen=True)
class Picker:
    """What a picker shows: what is chosen, and the matches of a search.

    ``has_more`` means that more match. With ``is_single``, one is chosen, or nobody.
    """

    name: str
    kind: str
    chosen: list[Option]
    matches: list[Option]
    text: str = ""
    has_more: bool = False
    is_single: bool = False

    @property
    def noun(self) -> str:
        return NOUNS[self.kind]

    @property
    def find_name(self) -> str:
        return f"{FIND}{self.name}"


def rows_of(kind: str) -> QuerySet[Any]:
    return get_user_model()._default_manager.all() if kind == USER else Group.objects.all()


def pick(
    *, name: str, kind: str, values: Iterable[object], text: str, is_single: bool = False
) -> Picker:
    """Return a picker with these ids chosen, and the matches of ``text``."""
    ids = list(dict.fromkeys(int(str(one)) for one in values if _ROW_ID.fullmatch(str(one))))
    chosen = _options(kind, rows_of(kind).filter(pk__in=ids[:MAX_CHOSEN])) if ids else []
    text = text.strip()[:MAX_TEXT]
    matches = _search(kind, text, ids) if text else []
    return Picker(
        name=name,
        kind=kind,
        chosen=sorted(chosen, key=lambda option: option.label.casefold()),
        matches=matches[:MAX_MATCHES],
        text=text,
        has_more=len(matches) > MAX_MATCHES,
        is_single=is_single,
    )


def _search(kind: str, text: str, chosen: list[int]) -> list[Option]:
    """Return up to one match more than is shown. Users are active, and found by words."""
    limit = MAX_MATCHES + 1
    if kind == USER:
        active: Any = get_user_model()._default_manager.filter(is_active=True)
        others = active.exclude(pk__in=chosen[:MAX_CHOSEN])
        return [
            Option(user.pk, user.name, user.email) for user in others.first_matching(text, limit)
        ]
    groups = Group.objects.filter(name__icontains=text).exclude(pk__in=chosen[:MAX_CHOSEN])
    return _options(kind, groups.order_by("name")[:limit])


def _options(kind: str, rows: QuerySet[Any]) -> list[Option]:
    columns = ("pk", "name", "email") if kind == USER else ("pk", "name")
    return [Option(*row) for row in rows.values_list(*columns)]


class PickerBoundField(forms.BoundField):
    """A bound field with ``picker``, by which templates recognize it."""

    @property
    def picker(self) -> Picker:
        is_single = not isinstance(self.field, PickedField)
        value = self.value()
        values = [value] if is_single or not isinstance(value, list | tuple | set) else value
        data = self.form.data
        text = data.get(f"{FIND}{self.html_name}", "") if "step" in data else ""
        kind = self.field.kind  # type: ignore[attr-defined]
        return pick(name=self.html_name, kind=kind, values=values, text=text, is_single=is_single)


class PickedField(RowsField):
    """Any number of users or groups. None if the field was not sent."""

    def __init__(self, kind: str, **options: Any) -> None:
        self.kind = kind
        super().__init__(queryset=rows_of(kind), **options)

    def get_bound_field(self, form: forms.BaseForm, field_name: str) -> PickerBoundField:
        return PickerBoundField(form, self, field_name)

    def prepare_value(self, value: Any) -> Any:
        return list(value) if isinstance(value, frozenset) else super().prepare_value(value)


class PickedOneField(forms.ModelChoiceField):  # type: ignore[type-arg]
    """One user or group, or none."""

    default_error_messages = {"invalid_choice": UNKNOWN_CHOICE}

    def __init__(self, kind: str, **options: Any) -> None:
        self.kind = kind
        super().__init__(rows_of(kind), **{"required": False, **options})

    def get_bound_field(self, form: forms.BaseForm, field_name: str) -> PickerBoundField:
        return PickerBoundField(form, self, field_name)

    def to_python(self, value: Any) -> Model | None:
        """Reject what is not a row id before the database sees it: some values overflow there."""
        if value and not _ROW_ID.fullmatch(str(value)):
            raise forms.ValidationError(self.error_messages["invalid_choice"], "invalid_choice")
        return super().to_python(value)
