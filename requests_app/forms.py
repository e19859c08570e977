"""Forms of requests and decisions. They parse and write nothing."""

from datetime import timedelta
from typing import Any

from django import forms

from accessflows.durations import parse_duration, spell
from accessflows.models import AccessFlow, FlowTarget
from requests_app.exceptions import RequestRefused
from requests_app.policies import JUSTIFICATION_MAX

NO_SUCH_FLOW = "This access flow cannot be used any more, or not by you. Choose another."
LARGEST_ID_DIGITS = 18


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
    """One flow of those a person may ask through, its targets, for how long and why.

    Targets are named ``targets-FLOW``, so that what is ticked under another flow does not count.
    """

    use_required_attribute = False

    flow = forms.ChoiceField(
        widget=forms.RadioSelect,
        error_messages={
            "required": "Choose an access flow.",
            "invalid_choice": NO_SUCH_FLOW,
        },
    )
    duration = DurationField(
        label="Duration",
        help_text="For example 45m, 1h or 1.5h. It starts when access opens.",
        error_messages={"required": "Say for how long, for example 1h."},
        widget=forms.TextInput(attrs={"autocomplete": "off", "size": 12}),
    )
    justification = JustificationField(
        label="Justification",
        strip=False,
        error_messages={"required": "Say what you will do, and why now."},
        help_text="What will you do, and why now? Name the task and the ticket. "
        f"The approver and the audit log see it. Up to {JUSTIFICATION_MAX:,} characters.",
        widget=forms.Textarea(attrs={"rows": 3}),
    )

    def __init__(self, *args: Any, flows: list[AccessFlow], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.flows = {str(flow.pk): flow for flow in flows}
        choice = self.fields["flow"]
        assert isinstance(choice, forms.ChoiceField)  # noqa: S101 - declared above
        choice.choices = [(key, flow.name) for key, flow in self.flows.items()]
        wanted = all(flow.require_justification for flow in flows)
        self.fields["justification"].required = wanted

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if "flow" in cleaned:
            cleaned["flow"] = self.flows[cleaned["flow"]]
            cleaned["target_ids"] = self._ticked(cleaned["flow"])
        return cleaned

    def _ticked(self, flow: AccessFlow) -> set[int]:
        texts = self.data.getlist(f"targets-{flow.pk}")  # type: ignore[attr-defined]
        if not all(
            text.isascii() and text.isdigit() and len(text) <= LARGEST_ID_DIGITS for text in texts
        ):
            raise forms.ValidationError(f"Choose what you need of {flow.name} once more.")
        return {int(text) for text in texts}

    def refuse(self, refused: RequestRefused) -> None:
        """Put a service's refusal beside the field it is about."""
        self.add_error(refused.field if refused.field in self.fields else None, refused.sentence)

    @property
    def chosen(self) -> str:
        """The key of the flow that is marked: posted, asked for in the address, or the only one."""
        value = str(self["flow"].value() or "")
        if value not in self.flows and len(self.flows) == 1 and not self.is_bound:
            return next(iter(self.flows))
        return value

    def longest(self) -> str:
        flow = self.flows.get(self.chosen)
        return spell(flow.max_duration) if flow else ""

    def targets_of(self, flow: AccessFlow) -> list[FlowTarget]:
        """The targets one may ask for now, as `accessflows.selectors.requestable_flows` read them."""
        targets: list[FlowTarget] = flow.open_targets  # type: ignore[attr-defined]
        return targets

    def is_ticked(self, flow: AccessFlow, target_id: int) -> bool:
        """A single target needs no choosing; of several none is ticked for anybody."""
        if self.is_bound and self.chosen == str(flow.pk):
            return str(target_id) in self.data.getlist(f"targets-{flow.pk}")  # type: ignore[attr-defined]
        return len(self.targets_of(flow)) == 1


class DecisionForm(forms.Form):
    """An approver's reason, and the fingerprint of what was on the page."""

    fingerprint = forms.CharField(max_length=64, widget=forms.HiddenInput)
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
