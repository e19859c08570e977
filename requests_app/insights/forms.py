"""Which days the insights are about, read from the address."""

import datetime as dt

from django import forms
from django.utils import timezone

from audit.log.forms import DayField

DAYS = {"7": "7 days", "14": "14 days", "30": "30 days", "90": "90 days"}
USUAL = "14"


class InsightsForm(forms.Form):
    """A number of days up to one, today if none is named."""

    days = forms.ChoiceField(
        label="Range",
        choices=DAYS.items(),
        required=False,
        error_messages={"invalid_choice": "There is no such range. Choose one from the list."},
    )
    until = DayField(label="Until")

    @property
    def chosen(self) -> str:
        """The range to show as chosen."""
        return self.data.get("days") or USUAL

    @property
    def wanted(self) -> tuple[dt.date, dt.date]:
        """The first and the last day a valid form asks for."""
        last: dt.date = self.cleaned_data["until"] or timezone.localdate()
        days = int(self.cleaned_data["days"] or USUAL)
        return last - dt.timedelta(days=days - 1), last
