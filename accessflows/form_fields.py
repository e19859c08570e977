"""Form fields shared by the forms of flows and integrations."""

import re
from typing import Any

from django import forms
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet

from accessflows.exceptions import InvalidInput, Refused

UNKNOWN_CHOICE = "One of your choices no longer exists. Choose again."


def add_refusal(form: forms.Form, refused: Refused) -> None:
    """Add a service's refusal to the fields it names, or to the form."""
    errors = refused.errors if isinstance(refused, InvalidInput) else {"": refused.sentence}
    for field, sentence in errors.items():
        form.add_error(field if field in form.fields else None, sentence)


class Switch(forms.BooleanField):
    """A checkbox drawn as a switch."""

    def __init__(self, **kwargs: Any) -> None:
        widget = forms.CheckboxInput(attrs={"role": "switch"})
        super().__init__(required=False, widget=widget, **kwargs)


class TimeOfDay(forms.TimeInput):
    """Hours and minutes, in the browser's own control."""

    input_type = "time"

    def __init__(self) -> None:
        super().__init__(format="%H:%M")


class RowsField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]
    """A list of checkboxes, one for each row of ``queryset``; the form may set that later."""

    widget = forms.CheckboxSelectMultiple
    default_error_messages = {"invalid_choice": UNKNOWN_CHOICE, "invalid_pk_value": UNKNOWN_CHOICE}
    _ROW_ID = re.compile(r"[0-9]{1,18}")

    def __init__(
        self, *, queryset: QuerySet[Model] | None = None, required: bool = False, **kwargs: Any
    ) -> None:
        rows = Group.objects.none() if queryset is None else queryset
        super().__init__(rows, required=required, **kwargs)

    def clean(self, value: Any) -> Any:
        """Reject what is not a row id before the database sees it: some values overflow there."""
        if any(not self._ROW_ID.fullmatch(str(pk)) for pk in value or ()):
            raise ValidationError(UNKNOWN_CHOICE, code="invalid_choice")
        return super().clean(value)
