"""The rows of "Who can request" in the form of a flow: one for each condition.

Rows are numbered from 0 in the order of the form, ``requesters-0-attribute`` and so on; the field
``requesters`` holds how many there are. A button named ``step`` changes the form without saving it:
``and:2`` adds a row to the second set, ``or`` a set, ``remove:0`` removes a row.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django import forms
from django.http import QueryDict

from accessflows.flows.validation import MAX_CONDITIONS, condition_error
from accessflows.form_fields import INCOMPLETE, CompleteField
from accessflows.pickers import FIND, GROUP, USER, PickedField
from accessflows.requesters import (
    ATTRIBUTE_NAMES,
    EMAIL_DOMAIN,
    IS,
    OPERATOR_NAMES,
    OPERATORS,
    Condition,
    Sets,
    value_column,
)

PREFIX = "requesters"
_COLUMNS = ("set_number", "attribute", "operator", "user", "group", "text")
_SEARCHES = ("user", "group")
MAX_TEXT_LENGTH = 2000
Row = dict[str, list[str]]


class RowCountField(CompleteField, forms.IntegerField):
    """How many rows the form has. Its errors are those of the rows."""

    widget = forms.HiddenInput
    default_error_messages = {"required": INCOMPLETE, "invalid": INCOMPLETE}

    def __init__(self) -> None:
        super().__init__(min_value=0, max_value=MAX_CONDITIONS)


class ConditionForm(forms.Form):
    """A row: an attribute, an operator, and users, groups or text to compare with."""

    set_number = forms.IntegerField(
        widget=forms.HiddenInput,
        min_value=1,
        max_value=MAX_CONDITIONS,
        error_messages={"required": INCOMPLETE, "invalid": INCOMPLETE},
    )
    attribute = forms.ChoiceField(
        choices=list(ATTRIBUTE_NAMES.items()), error_messages={"required": INCOMPLETE}
    )
    operator = forms.ChoiceField(
        choices=list(OPERATOR_NAMES.items()), error_messages={"required": INCOMPLETE}
    )
    user = PickedField(USER, label="Users")
    group = PickedField(GROUP, label="Groups")
    text = forms.CharField(max_length=MAX_TEXT_LENGTH, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in _SEARCHES:  # only the one that is compared with is in the page
            if name != self.column:
                del self.fields[name]

    @property
    def attribute_now(self) -> str:
        value = str(self["attribute"].value())
        return value if value in OPERATORS else GROUP

    @property
    def index(self) -> str:
        """Return the number of the row, from 0."""
        return str(self.prefix).rpartition("-")[2]

    @property
    def operators(self) -> list[tuple[str, str]]:
        """The operators that suit the attribute."""
        return [(operator, OPERATOR_NAMES[operator]) for operator in OPERATORS[self.attribute_now]]

    @property
    def column(self) -> str:
        return value_column(self.attribute_now, str(self["operator"].value()))

    @property
    def value_field(self) -> forms.BoundField:
        return self[self.column]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if not self.errors and (sentence := condition_error(self.condition())):
            self.add_error(self.column, sentence)
        return values

    def condition(self) -> Condition:
        """Return the condition of a row whose fields are valid."""
        attribute, operator = self.cleaned_data["attribute"], self.cleaned_data["operator"]
        values: tuple[int | str, ...]
        if self.column == "text":
            text = self.cleaned_data["text"].strip()
            is_list = attribute == EMAIL_DOMAIN
            parts = text.lower().replace(",", " ").replace("@", " ").split() if is_list else [text]
            values = tuple(dict.fromkeys(part for part in parts if part))
        else:
            values = tuple(sorted(row.pk for row in self.cleaned_data[self.column]))
        return Condition(attribute, operator, values)

    @property
    def first_error(self) -> str:
        return next((str(error) for errors in self.errors.values() for error in errors), "")


@dataclass(frozen=True)
class SetOfRows:
    number: int
    rows: list[ConditionForm]


def condition_forms(data: Mapping[str, Any] | None, sets: Sets) -> list[ConditionForm]:
    """Return a form for each row that was sent, or for each condition of the flow."""
    if data is None:
        return [
            ConditionForm(prefix=f"{PREFIX}-{index}", initial=initial)
            for index, initial in enumerate(_initial_rows(sets))
        ]
    return [ConditionForm(data, prefix=f"{PREFIX}-{index}") for index in range(_count(data))]


def _initial_rows(sets: Sets) -> list[dict[str, Any]]:
    if not sets:
        return [{"set_number": 1, "attribute": GROUP, "operator": IS}]
    return [
        {
            "set_number": number,
            "attribute": one.attribute,
            "operator": one.operator,
            one.column: ", ".join(map(str, one.values)) if one.column == "text" else one.values,
        }
        for number, conditions in enumerate(sets, start=1)
        for one in conditions
    ]


def sets_of_rows(rows: list[ConditionForm]) -> list[SetOfRows]:
    grouped = groupby(rows, key=lambda row: str(row["set_number"].value()))
    return [SetOfRows(number, list(of_set)) for number, (_, of_set) in enumerate(grouped, start=1)]


def requester_sets(rows: list[ConditionForm]) -> Sets:
    """Return the conditions of valid rows."""
    grouped = groupby(rows, key=lambda row: row.cleaned_data["set_number"])
    return tuple(tuple(row.condition() for row in of_set) for _, of_set in grouped)


def apply_step(data: QueryDict) -> QueryDict:
    """Return the form that was sent, changed by its step, with its rows numbered anew."""
    step, _, argument = data.get("step", "").partition(":")
    rows = [_row(data, index) for index in range(_count(data))]
    number = int(argument) if argument.isascii() and argument.isdecimal() else 0
    if step == "remove" and number < len(rows):
        del rows[number]
    elif step in {"and", "or"} and len(rows) < MAX_CONDITIONS:
        numbers = [_set_number(row) for row in rows]
        number = number if step == "and" and number in numbers else max(numbers, default=0) + 1
        rows.append(
            {"set_number": [str(number)], "attribute": [GROUP], "operator": [IS], "group": [""]}
        )
    rows.sort(key=_set_number)
    changed = data.copy()
    for name in list(changed):
        if name.startswith((f"{PREFIX}-", f"{FIND}{PREFIX}-")):
            del changed[name]
    for index, row in enumerate(rows):
        _write_row(changed, index, row)
    changed[PREFIX] = str(len(rows))
    return changed


def _count(data: Mapping[str, Any]) -> int:
    sent = str(data.get(PREFIX, ""))
    return min(int(sent), MAX_CONDITIONS) if sent.isascii() and sent.isdecimal() else 0


def _row(data: QueryDict, index: int) -> Row:
    names = {column: f"{PREFIX}-{index}-{column}" for column in _COLUMNS}
    names |= {f"{FIND}{name}": f"{FIND}{PREFIX}-{index}-{name}" for name in _SEARCHES}
    return {column: data.getlist(name) for column, name in names.items() if name in data}


def _write_row(data: QueryDict, index: int, row: Row) -> None:
    """Write a row with an operator and an empty value that suit its attribute."""
    attribute = row.get("attribute", [""])[-1]
    operator = row.get("operator", [""])[-1]
    if operator not in OPERATORS.get(attribute, ()):
        operator = IS
        row = row | {"operator": [IS]}
    for column, values in row.items():
        before = FIND if column.startswith(FIND) else ""
        data.setlist(f"{before}{PREFIX}-{index}-{column.removeprefix(FIND)}", values)
    name = f"{PREFIX}-{index}-{value_column(attribute, operator)}"
    if name not in data:
        data[name] = ""


def _set_number(row: Row) -> int:
    number = row.get("set_number", [""])[-1]
    return int(number) if number.isascii() and number.isdecimal() and len(number) < 4 else 1
