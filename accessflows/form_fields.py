"""Form fields shared by the forms of flows and integrations."""

import re
from typing import Any

from django import forms
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.forms.renderers import BaseRenderer
from django.http import QueryDict
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accessflows.exceptions import InvalidInput, Refused

INCOMPLETE = "This form was incomplete. Reload the page and try again."
UNKNOWN_CHOICE = "One of your choices no longer exists. Choose again."


def add_refusal(form: forms.Form, refused: Refused) -> None:
    """Add a service's refusal to the fields it names, or to the form."""
    errors = refused.errors if isinstance(refused, InvalidInput) else {"": refused.sentence}
    for field, sentence in errors.items():
        form.add_error(field if field in form.fields else None, sentence)


class CompleteField(forms.Field):
    """A field whose absence is an error: a form sent without it must not mean "off" or "nobody"."""

    def clean(self, value: Any) -> Any:
        if value is None:
            raise ValidationError(INCOMPLETE, code="incomplete")
        return super().clean(value)


class AlwaysSent(forms.Widget):
    """Mixin of checkboxes that are sent when they are off, too: a hidden field goes before them."""

    value_when_off = ""

    def render(
        self,
        name: str,
        value: Any,
        attrs: dict[str, Any] | None = None,
        renderer: BaseRenderer | None = None,
    ) -> SafeString:
        checkboxes = super().render(name, value, attrs, renderer)
        hidden = '<input type="hidden" name="{}" value="{}">{}'
        return format_html(hidden, name, self.value_when_off, checkboxes)


class ToggleInput(AlwaysSent, forms.CheckboxInput):
    """A checkbox that is sent when it is off, too. None if it was not sent."""

    value_when_off = "off"

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        values = data.getlist(name) if isinstance(data, QueryDict) else [data.get(name)]
        if not values or values[-1] is None:
            return None
        return str(values[-1]).lower() not in {"off", "false", ""}


class Toggle(CompleteField, forms.BooleanField):
    """A checkbox."""

    def __init__(self, *, role: str = "", **kwargs: Any) -> None:
        widget = ToggleInput(attrs={"role": role} if role else {})
        super().__init__(required=False, widget=widget, **kwargs)


class Switch(Toggle):
    """A checkbox drawn as a switch."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(role="switch", **kwargs)


class CheckboxList(AlwaysSent, forms.CheckboxSelectMultiple):
    """A list of checkboxes that is sent when none is checked, too. None if it was not sent."""

    sends_empty = True  # templates/crispy/layout/choices.html draws the checkboxes itself

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[Any] | None:
        if name not in data:
            return None
        values = data.getlist(name) if isinstance(data, QueryDict) else data[name]
        return [
            value for value in (values if isinstance(values, list) else [values]) if value != ""
        ]


class ChoicesField(CompleteField, forms.TypedMultipleChoiceField):
    """A list of checkboxes, one for each choice."""

    widget = CheckboxList


class SeenField(forms.CharField):
    """The digest of what a form showed, to detect that somebody else saved in between."""

    def __init__(self) -> None:
        super().__init__(widget=forms.HiddenInput, required=False, max_length=64)


class TimeOfDay(forms.TimeInput):
    """Hours and minutes, in the browser's own control."""

    input_type = "time"

    def __init__(self) -> None:
        super().__init__(format="%H:%M")


class RowsField(CompleteField, forms.ModelMultipleChoiceField):  # type: ignore[type-arg]
    """A list of checkboxes, one for each row of ``queryset``; the form may set that later."""

    widget = CheckboxList
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
