"""Forms of requests and decisions. They parse and write nothing."""

from datetime import timedelta
from typing import Any

from django import forms

from apono_portal.core.formatting.durations import parse_duration
from requests_app.exceptions import RequestRefused
from requests_app.policies import JUSTIFICATION_MAX


class DurationField(forms.CharField):
    """A duration as people write it; cleans to a timedelta."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=40, **kwargs)

    def clean(self, value: Any) -> timedelta:
        text = super().clean(value)
        try:
            return parse_duration(text)
        except ValueError as refused:
            raise forms.ValidationError(str(refused)) from None


class JustificationField(forms.CharField):
    """Drawn as needed. Whether it is, the flow says, so the service asks for it."""

    widget = forms.Textarea

    def validate(self, value: Any) -> None:
        return None


class RequestForm(forms.Form):
    """For how long and why. What is asked for is read by `requests_app.submission.selection`."""

    use_required_attribute = False

    duration = DurationField(
        label="Duration",
        help_text="For example 45m, 2h, 1.5 or 1:30. It starts when access opens.",
        error_messages={"required": "Say for how long, for example 1h."},
        widget=forms.TextInput(attrs={"autocomplete": "off", "size": 12}),
    )
    justification = JustificationField(
        label="Justification",
        strip=False,
        help_text="What will you do, and why now? For example: Backfill carrier_id on 312 orders from "
        "the last import. The approver and the audit log see it. "
        f"Up to {JUSTIFICATION_MAX:,} characters.",
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    ticket = forms.CharField(
        label="Ticket",
        required=False,
        max_length=320,
        help_text="The task it is for, for example OPS-4821. Several are parted by commas.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, wants_words: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["justification"].required = wants_words

    def refuse(self, refused: RequestRefused) -> None:
        """Put a service's refusal beside the field it is about."""
        self.add_error(refused.field if refused.field in self.fields else None, refused.sentence)


class DecisionForm(forms.Form):
    """An approver's reason, the fingerprint of the flow, and a mark of all that was on the page."""

    fingerprint = forms.CharField(max_length=64, widget=forms.HiddenInput)
    shown = forms.CharField(max_length=64, widget=forms.HiddenInput)
    reason = forms.CharField(
        label="Reason",
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 2, "class": "input"}),
    )


class DeleteReasonForm(forms.Form):
    """Why something is deleted. The service says whether that says anything."""

    reason = forms.CharField(
        label="Reason",
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Goes on the record.",
        error_messages={"required": "Give a reason in words; it goes on the record."},
    )
