"""Forms of notices. They parse; services check and write."""

from typing import TYPE_CHECKING, Any

from django import forms

from accessflows.form_fields import Switch
from apono_portal.notifications.kinds import (
    CHOSEN_BY_MAIL,
    FOR_WEBHOOKS,
    OF_ADMINS,
    OF_APPROVERS,
    OF_REQUESTERS,
    Kind,
)
from apono_portal.notifications.models import EmailOptOut, Webhook
from apono_portal.notifications.services import Terms
from audit.models import Delivery

if TYPE_CHECKING:
    from audit.querysets import DeliveryQuerySet

MAX_ID = 2**63 - 1


def _choices(kinds: tuple[Kind, ...]) -> list[tuple[str, str]]:
    return [(kind.value, str(kind.label)) for kind in kinds]


class MailsForm(forms.Form):
    """Which notices a person wants by mail. Those for admins are offered to admins."""

    requests = forms.MultipleChoiceField(
        label="Your requests and access",
        required=False,
        choices=_choices(OF_REQUESTERS),
        widget=forms.CheckboxSelectMultiple,
    )
    approvals = forms.MultipleChoiceField(
        label="Requests you may decide on",
        required=False,
        choices=_choices(OF_APPROVERS),
        widget=forms.CheckboxSelectMultiple,
    )
    targets = forms.MultipleChoiceField(
        label="Targets",
        required=False,
        choices=_choices(OF_ADMINS),
        widget=forms.CheckboxSelectMultiple,
    )

    def __init__(self, *args: Any, user: Any, **kwargs: Any) -> None:
        unwanted = set(EmailOptOut.objects.filter(user=user).values_list("kind", flat=True))
        wanted = {kind.value for kind in CHOSEN_BY_MAIL} - unwanted
        names = ("requests", "approvals", "targets")
        kwargs["initial"] = {name: sorted(wanted) for name in names}
        super().__init__(*args, **kwargs)
        self._kept = wanted & {kind.value for kind in OF_ADMINS}
        if not user.is_account_admin:
            del self.fields["targets"]

    def wanted(self) -> set[str]:
        """Return the kinds chosen. What was not offered stays as it was."""
        chosen = {kind for name in self.fields for kind in self.cleaned_data[name]}
        return chosen if "targets" in self.fields else chosen | self._kept


class WebhookForm(forms.Form):
    """All terms of a webhook. Its address is only ever written."""

    name = forms.CharField(
        label="Name", max_length=80, help_text="What the list of deliveries calls it."
    )
    url = forms.CharField(
        label="Address",
        max_length=1000,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text="Begins with https://. Sealed at once and never shown again, as a chat's lets anybody post.",
        error_messages={"required": "Enter the webhook's address."},
    )
    form = forms.ChoiceField(
        label="What is posted",
        choices=Webhook.Form.choices,
        initial=Webhook.Form.FULL,
        widget=forms.RadioSelect(attrs={"class": "segmented"}),
        help_text="A chat such as Slack, Teams or Mattermost takes one sentence with a link.",
    )
    kinds = forms.MultipleChoiceField(
        label="Kinds of events",
        choices=_choices(FOR_WEBHOOKS),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose at least one kind of events."},
    )
    is_active = Switch(label="Active", initial=True, help_text="Off, nothing is posted.")

    def __init__(self, *args: Any, webhook: Webhook | None = None, **kwargs: Any) -> None:
        if webhook:
            names = ("name", "form", "kinds", "is_active")
            kwargs["initial"] = {name: getattr(webhook, name) for name in names}
        super().__init__(*args, **kwargs)
        if webhook:
            self.fields["url"].required = False
            self.fields["url"].help_text = f"Leave it empty to keep the one at {webhook.host}."

    def terms(self) -> Terms:
        """Return the valid form as terms."""
        values = self.cleaned_data
        return Terms(
            name=" ".join(values["name"].split()),
            form=values["form"],
            kinds=tuple(values["kinds"]),
            is_active=values["is_active"],
            url=values["url"].strip(),
        )


class DeliveriesForm(forms.Form):
    """What the list of deliveries is narrowed to; what cannot be read narrows nothing."""

    state = forms.ChoiceField(required=False, choices=[("", "Any state"), *Delivery.State.choices])
    channel = forms.ChoiceField(
        required=False, choices=[("", "Mail and webhooks"), *Delivery.Channel.choices]
    )
    to = forms.CharField(label="Recipient", required=False, max_length=100)
    event = forms.IntegerField(required=False, min_value=1, max_value=MAX_ID)
    before = forms.IntegerField(required=False, min_value=0, max_value=MAX_ID)
    after = forms.IntegerField(required=False, min_value=0, max_value=MAX_ID)

    @property
    def is_filtered(self) -> bool:
        return any(self.cleaned_data.get(name) for name in ("state", "channel", "to", "event"))

    def apply(self, deliveries: "DeliveryQuerySet") -> "DeliveryQuerySet":
        self.full_clean()
        chosen = self.cleaned_data
        if chosen.get("state"):
            deliveries = deliveries.filter(state=chosen["state"])
        if chosen.get("channel"):
            deliveries = deliveries.filter(channel=chosen["channel"])
        if chosen.get("event"):
            deliveries = deliveries.filter(event_id=chosen["event"])
        return deliveries.sent_to(chosen.get("to", ""))
