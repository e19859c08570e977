"""Forms for email preferences, webhooks and deliveries. They parse; services check and write."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.db.models import BigIntegerField

from accessflows.form_fields import ChoicesField, SeenField, Switch
from apono_portal.core.formatting.printable import validate_printable
from apono_portal.notifications.kinds import (
    ADMIN_KINDS,
    APPROVER_KINDS,
    OPTIONAL_KINDS,
    REQUESTER_KINDS,
    WEBHOOK_KINDS,
    Kind,
)
from apono_portal.notifications.models import EmailOptOut, Webhook
from apono_portal.notifications.services import WebhookInput, webhook_digest
from apono_portal.users.models import User
from audit.models import Delivery

if TYPE_CHECKING:
    from audit.querysets import DeliveryQuerySet


def _kinds_field(label: str, kinds: tuple[Kind, ...], **options: Any) -> ChoicesField:
    choices = [(kind.value, str(kind.label)) for kind in kinds]
    return ChoicesField(label=label, choices=choices, **options)


class EmailPreferencesForm(forms.Form):
    """The kinds of email a user wants. Kinds for admins are offered to admins only."""

    requests = _kinds_field("Your requests and access", REQUESTER_KINDS, required=False)
    approvals = _kinds_field("Requests you can approve", APPROVER_KINDS, required=False)
    targets = _kinds_field("Targets", ADMIN_KINDS, required=False)

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        opt_outs = EmailOptOut.objects.filter(user=user).values_list("kind", flat=True)
        chosen = {kind.value for kind in OPTIONAL_KINDS} - set(opt_outs)
        kwargs["initial"] = dict.fromkeys(self.base_fields, sorted(chosen))
        super().__init__(*args, **kwargs)
        self._hidden_kinds: set[str] = set()
        if not user.is_account_admin:
            del self.fields["targets"]
            self._hidden_kinds = chosen & {kind.value for kind in ADMIN_KINDS}

    def kinds(self) -> set[str]:
        """Return the chosen kinds. Those that were not offered stay as they were."""
        chosen = {kind for name in self.fields for kind in self.cleaned_data[name]}
        return chosen | self._hidden_kinds


class WebhookForm(forms.Form):
    """A webhook. Its address can be replaced, but never shown."""

    name = forms.CharField(
        label="Name",
        max_length=80,
        validators=[validate_printable],
        help_text="Shown in the list of deliveries.",
    )
    url = forms.CharField(
        label="Address",
        max_length=1000,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text="Must start with https://. Encrypted and never shown again.",
        error_messages={"required": "Enter the webhook's address."},
    )
    form = forms.ChoiceField(
        label="Content",
        choices=Webhook.Form.choices,
        initial=Webhook.Form.FULL,
        widget=forms.RadioSelect(attrs={"class": "segmented"}),
        help_text="For Slack, Teams or Mattermost choose one sentence with a link.",
    )
    kinds = _kinds_field(
        "Events",
        WEBHOOK_KINDS,
        error_messages={"required": "Choose at least one kind of event."},
    )
    is_active = Switch(label="Active", initial=True, help_text="When off, nothing is sent.")
    seen = SeenField()

    def __init__(self, *args: Any, webhook: Webhook | None = None, **kwargs: Any) -> None:
        if webhook:
            names = ("name", "form", "kinds", "is_active")
            kwargs["initial"] = {name: getattr(webhook, name) for name in names}
            kwargs["initial"]["seen"] = webhook_digest(webhook)
        super().__init__(*args, **kwargs)
        if webhook:
            self.fields["url"].required = False
            self.fields["url"].help_text = f"Leave empty to keep the address at {webhook.host}."

    def webhook_input(self) -> WebhookInput:
        values = self.cleaned_data
        return WebhookInput(
            name=" ".join(values["name"].split()),
            form=values["form"],
            kinds=tuple(values["kinds"]),
            is_active=values["is_active"],
            url=values["url"].strip(),
        )


class DeliveryFilterForm(forms.Form):
    """Filters of the list of deliveries. Invalid values are ignored."""

    state = forms.ChoiceField(required=False, choices=[("", "Any state"), *Delivery.State.choices])
    channel = forms.ChoiceField(
        required=False, choices=[("", "Email and webhooks"), *Delivery.Channel.choices]
    )
    to = forms.CharField(label="Recipient", required=False, max_length=100)
    event = forms.IntegerField(required=False, min_value=1, max_value=BigIntegerField.MAX_BIGINT)
    before = forms.IntegerField(required=False, min_value=0, max_value=BigIntegerField.MAX_BIGINT)
    after = forms.IntegerField(required=False, min_value=0, max_value=BigIntegerField.MAX_BIGINT)

    @property
    def is_filtered(self) -> bool:
        return any(self.cleaned_data.get(name) for name in ("state", "channel", "to", "event"))

    def apply(self, deliveries: "DeliveryQuerySet") -> "DeliveryQuerySet":
        self.full_clean()
        values = self.cleaned_data
        if values.get("state"):
            deliveries = deliveries.filter(state=values["state"])
        if values.get("channel"):
            deliveries = deliveries.filter(channel=values["channel"])
        if values.get("event"):
            deliveries = deliveries.filter(event_id=values["event"])
        return deliveries.sent_to(values.get("to", ""))
