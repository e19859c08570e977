"""The filters of the Activity page, read from its address."""

import datetime as dt

from django import forms

from apono_portal.core.formatting.login_names import grant_id_of
from audit.log.forms import MAX_ID, DayField, QuickRangeField, parse_reference, start_of
from requests_app.activity.selectors import ActivityFilters
from requests_app.models import Status

MFA_CHOICES = [
    ("", "Any MFA"),
    ("verified", "Verified"),
    ("missing", "Required, not verified"),
    ("not_required", "Not required"),
]
BREAK_GLASS_CHOICES = [
    ("", "Any access"),
    ("only", "Break-glass only"),
    ("to_review", "Break-glass, not reviewed"),
]


def _text_filter(label: str) -> forms.CharField:
    return forms.CharField(label=label, max_length=100, required=False)


class ActivityForm(forms.Form):
    """Filters, and the place in the list. All fields are optional."""

    range = QuickRangeField()
    since = DayField(label="From")
    until = DayField(label="Until")
    status = forms.ChoiceField(
        label="Status",
        choices=[("", "Any status"), *Status.choices],
        required=False,
        error_messages={"invalid_choice": "Unknown status. Choose one from the list."},
    )
    mfa = forms.ChoiceField(
        label="MFA",
        choices=MFA_CHOICES,
        required=False,
        error_messages={"invalid_choice": "Unknown choice. Choose one from the list."},
    )
    break_glass = forms.ChoiceField(
        label="Break-glass",
        choices=BREAK_GLASS_CHOICES,
        required=False,
        error_messages={"invalid_choice": "Unknown choice. Choose one from the list."},
    )
    requester = _text_filter("Requester")
    flow = _text_filter("Access flow")
    integration = _text_filter("Integration")
    permission = _text_filter("Resource or permission")
    request = forms.CharField(label="Request or login", max_length=63, required=False)
    user_id = forms.IntegerField(label="User", min_value=0, max_value=MAX_ID, required=False)
    before = forms.IntegerField(min_value=0, max_value=MAX_ID, required=False)
    after = forms.IntegerField(min_value=0, max_value=MAX_ID, required=False)
    open = forms.IntegerField(min_value=0, max_value=MAX_ID, required=False)

    FILTERS = (
        "range",
        "since",
        "until",
        "status",
        "mfa",
        "break_glass",
        "requester",
        "flow",
        "integration",
        "permission",
        "request",
        "user_id",
    )

    def clean_request(self) -> int | str | None:
        """Return the id in a reference, or the name of a login."""
        text: str = self.cleaned_data["request"]
        return text if grant_id_of(text) else parse_reference(text)

    @property
    def active_filters(self) -> dict[str, str]:
        """The filters that are set, as typed."""
        return {name: self.data[name] for name in self.FILTERS if self.data.get(name)}

    @property
    def is_filtered(self) -> bool:
        return bool(self.active_filters)

    @property
    def filters(self) -> ActivityFilters:
        """The filters of a valid form. ``until`` includes that day, in the time zone of the page."""
        data = self.cleaned_data
        request = data["request"]
        until = data["until"] and data["until"] + dt.timedelta(days=1)
        return ActivityFilters(
            since=start_of(data["since"]) or data["range"],
            until=start_of(until),
            requester=data["requester"],
            flow=data["flow"],
            integration=data["integration"],
            permission=data["permission"],
            status=data["status"],
            mfa=data["mfa"],
            break_glass=data["break_glass"],
            request_id=request if isinstance(request, int) else None,
            login=request if isinstance(request, str) else "",
            user_id=data["user_id"],
        )
