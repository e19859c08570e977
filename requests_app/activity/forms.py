"""What one may ask of the activity, read from the address."""

import datetime as dt

from django import forms

from audit.log.forms import MAX_ID, DayField, parse_reference, start_of
from requests_app.activity.selectors import Wanted
from requests_app.models import Status

MFA_CHOICES = [
    ("", "Any MFA"),
    ("verified", "Verified"),
    ("missing", "Required, not verified"),
    ("not_required", "Not required"),
]


def words(label: str) -> forms.CharField:
    return forms.CharField(label=label, max_length=100, required=False)


class ActivityForm(forms.Form):
    """Filters and place in the list. Nothing is required; what cannot be read gets a sentence."""

    since = DayField(label="From")
    until = DayField(label="Until")
    status = forms.ChoiceField(
        label="Status",
        choices=[("", "Any status"), *Status.choices],
        required=False,
        error_messages={"invalid_choice": "There is no such status. Choose one from the list."},
    )
    mfa = forms.ChoiceField(
        label="MFA",
        choices=MFA_CHOICES,
        required=False,
        error_messages={"invalid_choice": "There is no such choice. Choose one from the list."},
    )
    requester = words("Requester")
    flow = words("Access flow")
    integration = words("Integration")
    permission = words("Resource or permission")
    request = forms.CharField(label="Request", max_length=32, required=False)
    before = forms.IntegerField(min_value=0, max_value=MAX_ID, required=False)
    after = forms.IntegerField(min_value=0, max_value=MAX_ID, required=False)
    open = forms.IntegerField(min_value=0, max_value=MAX_ID, required=False)

    FILTERS = (
        "since",
        "until",
        "status",
        "mfa",
        "requester",
        "flow",
        "integration",
        "permission",
        "request",
    )

    def clean_request(self) -> int | None:
        return parse_reference(self.cleaned_data["request"])

    @property
    def asked(self) -> dict[str, str]:
        """The filters that narrow, as they were typed."""
        return {name: self.data[name] for name in self.FILTERS if self.data.get(name)}

    @property
    def is_filtered(self) -> bool:
        return bool(self.asked)

    @property
    def wanted(self) -> Wanted:
        """What a valid form asks for. A day counts whole, in the portal's time zone."""
        asked = self.cleaned_data
        until = asked["until"] and asked["until"] + dt.timedelta(days=1)
        return Wanted(
            since=start_of(asked["since"]),
            until=start_of(until),
            request_id=asked["request"],
            **{
                name: asked[name]
                for name in ("status", "mfa", "requester", "flow", "integration", "permission")
            },
        )
