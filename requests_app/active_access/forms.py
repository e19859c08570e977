"""Forms of the Active Access page: its filters, and the reason for a revocation."""

from datetime import datetime, timedelta
from typing import Any

from django import forms

from apono_portal.core.db.keyset import MAX_ID
from requests_app.active_access.selectors import ActiveAccessFilters, Place

MAX_SELECTED = 100
ENDS = {
    "overdue": ("Overdue", timedelta(0)),
    "15m": ("Ends within 15 minutes", timedelta(minutes=15)),
    "1h": ("Ends within 1 hour", timedelta(hours=1)),
    "4h": ("Ends within 4 hours", timedelta(hours=4)),
    "1d": ("Ends within 1 day", timedelta(days=1)),
}


class PlaceField(forms.CharField):
    """A place in the list, from the address of a page; cleans to a `Place`."""

    def __init__(self) -> None:
        super().__init__(max_length=80, required=False)

    def clean(self, value: Any) -> Place | None:
        text = super().clean(value)
        try:
            return Place.parse(text) if text else None
        except ValueError:
            raise forms.ValidationError("Unknown page. Start at the first one.") from None


def _text_filter(label: str) -> forms.CharField:
    return forms.CharField(label=label, max_length=100, required=False)


def _id_filter(label: str) -> forms.IntegerField:
    return forms.IntegerField(label=label, min_value=0, max_value=MAX_ID, required=False)


class ActiveAccessForm(forms.Form):
    """Filters, and the place in the list. All fields are optional."""

    requester = _text_filter("User")
    flow = _text_filter("Access flow")
    integration = _text_filter("Integration")
    permission = _text_filter("Resource or permission")
    ends = forms.ChoiceField(
        label="End time",
        choices=[("", "Any end time"), *((key, label) for key, (label, _) in ENDS.items())],
        required=False,
        error_messages={"invalid_choice": "Unknown choice. Choose one from the list."},
    )
    access = forms.ChoiceField(
        label="Kind of access",
        choices=[("", "All access"), ("break_glass", "Break-glass")],
        required=False,
        error_messages={"invalid_choice": "Unknown choice. Choose one from the list."},
    )
    user_id = _id_filter("User")
    flow_id = _id_filter("Access flow")
    integration_id = _id_filter("Integration")
    before = PlaceField()
    after = PlaceField()

    FILTERS = (
        "requester",
        "flow",
        "integration",
        "permission",
        "ends",
        "access",
        "user_id",
        "flow_id",
        "integration_id",
    )

    @property
    def is_filtered(self) -> bool:
        return any(self.data.get(name) for name in self.FILTERS)

    def filters(self, now: datetime) -> ActiveAccessFilters:
        """Return the filters of a valid form."""
        data = self.cleaned_data
        names = [name for name in self.FILTERS if name != "ends"]
        ends_before = now + ENDS[data["ends"]][1] if data["ends"] else None
        return ActiveAccessFilters(ends_before=ends_before, **{name: data[name] for name in names})


class RequestIdsField(forms.Field):
    """The keys of requests, each once, from repeated values."""

    widget = forms.MultipleHiddenInput

    def clean(self, value: Any) -> list[int]:
        texts = list(dict.fromkeys(map(str, value or [])))
        if len(texts) > MAX_SELECTED:
            raise forms.ValidationError(f"Select at most {MAX_SELECTED} requests.")
        if any(not (text.isascii() and text.isdecimal() and len(text) < 19) for text in texts):
            raise forms.ValidationError("Unknown request. Select access from the list.")
        return [int(text) for text in texts]


class SelectedRequestsForm(forms.Form):
    """Which requests are named for revocation."""

    request = RequestIdsField(required=False)


class RevocationReasonForm(forms.Form):
    """Why access is revoked. The service checks that the reason says something."""

    reason = forms.CharField(
        label="Reason",
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Shown to the users and kept in the audit log.",
        error_messages={"required": "Enter a reason. The users see it."},
    )
