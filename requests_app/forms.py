"""Forms of requests and decisions."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django import forms

from apono_portal.core.formatting.durations import parse_duration
from requests_app.exceptions import RequestRefused
from requests_app.submission.validation import MAX_JUSTIFICATION_LENGTH


class DurationField(forms.CharField):
    """A duration as people write it; cleans to a timedelta."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=40, **kwargs)

    def clean(self, value: Any) -> timedelta:
        text = super().clean(value)
        try:
            return parse_duration(text)
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None


class JustificationField(forms.CharField):
    """Marked as required where a flow requires it; the service checks that."""

    widget = forms.Textarea

    def validate(self, value: Any) -> None:
        return None


class RequestForm(forms.Form):
    """Duration, justification and ticket. `requests_app.submission.selection` parses the targets."""

    use_required_attribute = False

    target = forms.Field(label="What you need", required=False)  # for its errors
    duration = DurationField(
        label="Duration",
        help_text="For example 45m, 2h, 1.5 or 1:30. It starts when access becomes active.",
        error_messages={"required": "Enter a duration, for example 1h."},
        widget=forms.TextInput(attrs={"autocomplete": "off", "size": 12}),
    )
    justification = JustificationField(
        label="Justification",
        strip=False,
        help_text="What will you do, and why now? For example: Backfill carrier_id on 312 orders from "
        "the last import. Approvers see it, and it is kept in the audit log. "
        f"Up to {MAX_JUSTIFICATION_LENGTH:,} characters.",
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    ticket = forms.CharField(
        label="Ticket",
        required=False,
        max_length=320,
        help_text="For example OPS-4821. Separate several with commas.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, needs_justification: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["justification"].required = needs_justification

    def clean(self) -> dict[str, Any]:
        return {name: value for name, value in self.cleaned_data.items() if name != "target"}

    def add_refusals(self, refusals: Iterable[RequestRefused]) -> None:
        """Add refusals of a service as errors of their fields, unless those have errors already."""
        invalid = set(self.errors)
        for refusal in refusals:
            name = "target" if refusal.field in {"targets", "flow"} else refusal.field
            if name not in invalid:
                self.add_error(name if name in self.fields else None, refusal.sentence)


class DecisionForm(forms.Form):
    """An approver's reason, the fingerprint of the flow, and the digest of what the page showed."""

    fingerprint = forms.CharField(max_length=64, widget=forms.HiddenInput)
    digest = forms.CharField(max_length=64, widget=forms.HiddenInput)
    reason = forms.CharField(
        label="Reason",
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 2, "class": "input"}),
    )


class DeleteReasonForm(forms.Form):
    """Why something is deleted. The service checks that the reason says something."""

    reason = forms.CharField(
        label="Reason",
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Kept in the audit log.",
        error_messages={"required": "Enter a reason. It is kept in the audit log."},
    )
