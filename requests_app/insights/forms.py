"""The range of days of the Insights page, read from its address."""

import datetime as dt

from django import forms
from django.utils import timezone

from audit.log.forms import DayField
from requests_app.insights.daily_rollup import day_of

RANGES = {"7": "7 days", "14": "14 days", "30": "30 days", "90": "90 days"}
DEFAULT_RANGE = "14"


class InsightsForm(forms.Form):
    """A number of days up to and including ``until``, or up to today."""

    days = forms.ChoiceField(
        label="Range",
        choices=RANGES.items(),
        required=False,
        error_messages={"invalid_choice": "Unknown range. Choose one from the list."},
    )
    until = DayField(label="Until")

    @property
    def selected_range(self) -> str:
        return self.data.get("days") or DEFAULT_RANGE

    @property
    def first_and_last_day(self) -> tuple[dt.date, dt.date]:
        """The first and the last day of a valid form."""
        last: dt.date = self.cleaned_data["until"] or day_of(timezone.now())
        count = int(self.cleaned_data["days"] or DEFAULT_RANGE)
        return last - dt.timedelta(days=count - 1), last
