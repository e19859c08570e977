"""Every write to webhooks and email preferences, and sending deliveries again."""

import base64
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, transaction

from accessflows.connectors.webhook.signing import SECRET_PREFIX
from accessflows.permissions import require_admin
from apono_portal.core.crypto import encryption
from apono_portal.core.web.client import ClientInfo
from apono_portal.core.web.seen_state import CHANGED_MEANWHILE, digest_of
from apono_portal.core.web.ssrf_guard import AddressRefused, check_url
from apono_portal.notifications.exceptions import NotificationError
from apono_portal.notifications.fan_out import build_webhook_delivery
from apono_portal.notifications.kinds import OPTIONAL_KINDS, Kind
from apono_portal.notifications.models import EmailOptOut, Webhook
from apono_portal.notifications.notification import Notification
from apono_portal.users.models import User
from audit.events import EventName
from audit.models import Delivery
from audit.outbox.deliveries import enqueue, requeue
from audit.services import record
from mfa.verification.window import Window

NAME_TAKEN = "A webhook with this name already exists."


@dataclass(frozen=True)
class WebhookInput:
    """The fields of a webhook. An empty ``url`` keeps the stored one."""

    name: str
    form: str
    kinds: tuple[str, ...]
    is_active: bool
    url: str = field(default="", repr=False)

    @property
    def plain_fields(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "form": self.form,
            "kinds": list(self.kinds),
            "is_active": self.is_active,
        }


@dataclass(frozen=True)
class NewSecret:
    """A webhook and its new secret, which is shown once."""

    webhook: Webhook
    secret: str = field(repr=False)


def create_webhook(
    *, actor: User, window: Window | None, data: WebhookInput, client_info: ClientInfo
) -> NewSecret:
    """Add a webhook with a generated secret."""
    webhook = Webhook(**data.plain_fields)
    if not data.url:
        raise NotificationError("Enter the webhook's address.", field="url")
    _set_address(webhook, data.url)
    secret = _set_new_secret(webhook)
    try:
        with transaction.atomic():
            require_admin(actor=actor, window=window)
            webhook.save(force_insert=True)
            record(
                event=EventName.WEBHOOK_CREATE,
                actor=actor,
                target=webhook,
                client_info=client_info,
                metadata={**data.plain_fields, "host": webhook.host},
            )
    except IntegrityError:
        raise NotificationError(NAME_TAKEN, field="name") from None
    return NewSecret(webhook, secret)


def change_webhook(
    *,
    actor: User,
    window: Window | None,
    webhook: Webhook,
    data: WebhookInput,
    seen: str,
    client_info: ClientInfo,
) -> Webhook:
    """Save a webhook. Waiting deliveries go to the new address.

    ``seen`` is `webhook_digest` of what was edited.
    """
    try:
        with transaction.atomic():
            require_admin(actor=actor, window=window)
            webhook = Webhook.objects.select_for_update().get(pk=webhook.pk)
            if webhook_digest(webhook) != seen:
                raise NotificationError(CHANGED_MEANWHILE)
            changes = {
                name: {"from": getattr(webhook, name), "to": value}
                for name, value in data.plain_fields.items()
                if getattr(webhook, name) != value
            }
            for name, change in changes.items():
                setattr(webhook, name, change["to"])
            if data.url:
                old_host = webhook.host
                _set_address(webhook, data.url)
                changes["address"] = {"from": old_host, "to": webhook.host}
            if changes:
                webhook.save()
                record(
                    event=EventName.WEBHOOK_CHANGE,
                    actor=actor,
                    target=webhook,
                    client_info=client_info,
                    metadata={"changes": changes},
                )
    except IntegrityError:
        raise NotificationError(NAME_TAKEN, field="name") from None
    return webhook


def replace_secret(
    *, actor: User, window: Window | None, webhook: Webhook, client_info: ClientInfo
) -> NewSecret:
    """Sign with a new secret from now on."""
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        webhook = Webhook.objects.select_for_update().get(pk=webhook.pk)
        secret = _set_new_secret(webhook)
        webhook.save(update_fields=["encrypted_secret"])
        record(
            event=EventName.WEBHOOK_REPLACE_SECRET,
            actor=actor,
            target=webhook,
            client_info=client_info,
        )
    return NewSecret(webhook, secret)


def delete_webhook(
    *, actor: User, window: Window | None, webhook: Webhook, client_info: ClientInfo
) -> None:
    """Delete a webhook with its secret. Its deliveries stay listed."""
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        record(event=EventName.WEBHOOK_DELETE, actor=actor, target=webhook, client_info=client_info)
        webhook.delete()


def send_test(
    *, actor: User, window: Window | None, webhook: Webhook, client_info: ClientInfo
) -> Delivery | None:
    """Queue a test message to one webhook."""
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        event = record(
            event=EventName.WEBHOOK_TEST, actor=actor, target=webhook, client_info=client_info
        )
        enqueue([build_webhook_delivery(webhook, Notification(event, Kind.TEST))])
    return Delivery.objects.filter(event_id=event.pk).first()


def send_again(
    *, actor: User, window: Window | None, delivery: Delivery, client_info: ClientInfo
) -> None:
    """Queue a delivery again, unchanged."""
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        delivery = Delivery.objects.select_for_update().get(pk=delivery.pk)
        if delivery.state == Delivery.State.WAITING:
            raise NotificationError("This delivery is already waiting to be sent.")
        record(
            event=EventName.DELIVERY_SEND_AGAIN,
            actor=actor,
            target=delivery,
            client_info=client_info,
            metadata={"event": delivery.event_id, "previous_state": delivery.state},
        )
        requeue(delivery)


def choose_emails(*, actor: User, kinds: Collection[str], client_info: ClientInfo) -> None:
    """Save which kinds of email a user wants. Security emails are sent regardless."""
    opt_outs = {kind.value for kind in OPTIONAL_KINDS} - set(kinds)
    with transaction.atomic():
        rows = EmailOptOut.objects.select_for_update().filter(user=actor)
        before = set(rows.values_list("kind", flat=True))
        if opt_outs == before:
            return
        rows.exclude(kind__in=opt_outs).delete()
        added = [EmailOptOut(user=actor, kind=kind) for kind in sorted(opt_outs - before)]
        EmailOptOut.objects.bulk_create(added, ignore_conflicts=True)
        record(
            event=EventName.NOTIFICATION_CHOOSE,
            actor=actor,
            target=actor,
            client_info=client_info,
            metadata={
                "turned_off": sorted(opt_outs - before),
                "turned_on": sorted(before - opt_outs),
            },
        )


def webhook_digest(webhook: Webhook) -> str:
    """Return the digest of what can be changed of a webhook."""
    names = ("name", "form", "kinds", "is_active", "encrypted_url")
    return digest_of({name: getattr(webhook, name) for name in names})


def _set_address(webhook: Webhook, text: str) -> None:
    try:
        url = check_url(text)
    except AddressRefused as refused:
        raise NotificationError(refused.sentence, field="url") from None
    webhook.host = url.hostname or ""
    webhook.encrypted_url = encryption.encrypt(
        text.encode(), purpose=encryption.WEBHOOK_ADDRESS, owner=webhook.secret_id
    )


def _set_new_secret(webhook: Webhook) -> str:
    secret = SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()
    webhook.encrypted_secret = encryption.encrypt(
        secret.encode(), purpose=encryption.WEBHOOK_SECRET, owner=webhook.secret_id
    )
    return secret
