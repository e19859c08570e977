"""Every write about notices: webhooks, what a person wants by mail, sending again."""

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
from apono_portal.core.web.ssrf_guard import AddressRefused, check_url
from apono_portal.notifications.exceptions import NoticeRefused
from apono_portal.notifications.fan_out import post_for
from apono_portal.notifications.kinds import CHOSEN_BY_MAIL, Kind
from apono_portal.notifications.models import EmailOptOut, Webhook
from apono_portal.notifications.notification import Notification
from audit.events import EventName
from audit.models import Delivery
from audit.outbox.deliveries import enqueue, requeue
from audit.services import record
from mfa.verification.window import Window

NAME_TAKEN = "Another webhook has this name. Choose a different one."


@dataclass(frozen=True)
class Terms:
    """What an admin says of a webhook. ``url`` is empty to keep the one that is sealed."""

    name: str
    form: str
    kinds: tuple[str, ...]
    is_active: bool
    url: str = field(default="", repr=False)


@dataclass(frozen=True)
class Made:
    """A webhook and its new secret, which is shown this once."""

    webhook: Webhook
    secret: str = field(repr=False)


def create_webhook(
    *, actor: Any, window: Window | None, terms: Terms, client_info: ClientInfo
) -> Made:
    """Add a webhook with a secret of the portal's making."""
    webhook = Webhook(**_plain(terms))
    if not terms.url:
        raise NoticeRefused("Enter the webhook's address.", field="url")
    _seal_address(webhook, terms.url)
    secret = _new_secret(webhook)
    try:
        with transaction.atomic():
            require_admin(actor=actor, window=window)
            webhook.save(force_insert=True)
            record(
                event=EventName.WEBHOOK_CREATE,
                actor=actor,
                target=webhook,
                client_info=client_info,
                metadata={**_plain(terms), "host": webhook.host},
            )
    except IntegrityError:
        raise NoticeRefused(NAME_TAKEN, field="name") from None
    return Made(webhook, secret)


def change_webhook(
    *, actor: Any, window: Window | None, webhook: Webhook, terms: Terms, client_info: ClientInfo
) -> Webhook:
    """Save a webhook. What already waits for it goes to the new address."""
    try:
        with transaction.atomic():
            require_admin(actor=actor, window=window)
            webhook = Webhook.objects.select_for_update().get(pk=webhook.pk)
            changes = {
                name: {"from": getattr(webhook, name), "to": value}
                for name, value in _plain(terms).items()
                if getattr(webhook, name) != value
            }
            for name, change in changes.items():
                setattr(webhook, name, change["to"])
            if terms.url:
                before = webhook.host
                _seal_address(webhook, terms.url)
                changes["address"] = {"from": before, "to": webhook.host}
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
        raise NoticeRefused(NAME_TAKEN, field="name") from None
    return webhook


def replace_secret(
    *, actor: Any, window: Window | None, webhook: Webhook, client_info: ClientInfo
) -> Made:
    """Sign with a new secret from now on."""
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        webhook = Webhook.objects.select_for_update().get(pk=webhook.pk)
        secret = _new_secret(webhook)
        webhook.save(update_fields=["encrypted_secret"])
        record(
            event=EventName.WEBHOOK_REPLACE_SECRET,
            actor=actor,
            target=webhook,
            client_info=client_info,
        )
    return Made(webhook, secret)


def delete_webhook(
    *, actor: Any, window: Window | None, webhook: Webhook, client_info: ClientInfo
) -> None:
    """Remove a webhook with its secret. What was delivered stays in the list of deliveries."""
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        record(event=EventName.WEBHOOK_DELETE, actor=actor, target=webhook, client_info=client_info)
        webhook.delete()


def send_test(
    *, actor: Any, window: Window | None, webhook: Webhook, client_info: ClientInfo
) -> Delivery | None:
    """Have a test posted to one webhook: an event like any other, told to it alone."""
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        event = record(
            event=EventName.WEBHOOK_TEST, actor=actor, target=webhook, client_info=client_info
        )
        enqueue([post_for(webhook, Notification(event, Kind.TEST))])
    return Delivery.objects.filter(event_id=event.pk).first()


def send_again(
    *, actor: Any, window: Window | None, delivery: Delivery, client_info: ClientInfo
) -> None:
    """Have a delivery sent once more, as it was written."""
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        delivery = Delivery.objects.select_for_update().get(pk=delivery.pk)
        if delivery.state == Delivery.State.WAITING:
            raise NoticeRefused("It waits to be sent already. Its next try comes by itself.")
        record(
            event=EventName.DELIVERY_SEND_AGAIN,
            actor=actor,
            target=delivery,
            client_info=client_info,
            metadata={"told_of": delivery.event_id, "was": delivery.state},
        )
        requeue(delivery)


def choose_mails(*, actor: Any, wanted: Collection[str], client_info: ClientInfo) -> None:
    """Keep which notices a person wants by mail. Security notices are sent whatever is chosen."""
    unwanted = {kind.value for kind in CHOSEN_BY_MAIL} - set(wanted)
    with transaction.atomic():
        mine = EmailOptOut.objects.select_for_update().filter(user=actor)
        before = set(mine.values_list("kind", flat=True))
        if unwanted == before:
            return
        mine.exclude(kind__in=unwanted).delete()
        rows = [EmailOptOut(user=actor, kind=kind) for kind in sorted(unwanted - before)]
        EmailOptOut.objects.bulk_create(rows, ignore_conflicts=True)
        record(
            event=EventName.NOTIFICATION_CHOOSE,
            actor=actor,
            target=actor,
            client_info=client_info,
            metadata={
                "switched_off": sorted(unwanted - before),
                "switched_on": sorted(before - unwanted),
            },
        )


def _plain(terms: Terms) -> dict[str, Any]:
    return {
        "name": terms.name,
        "form": terms.form,
        "kinds": list(terms.kinds),
        "is_active": terms.is_active,
    }


def _seal_address(webhook: Webhook, text: str) -> None:
    try:
        url = check_url(text)
    except AddressRefused as refused:
        raise NoticeRefused(refused.sentence, field="url") from None
    webhook.host = url.hostname or ""
    webhook.encrypted_url = encryption.encrypt(
        text.encode(), purpose=encryption.WEBHOOK_ADDRESS, owner=webhook.secret_id
    )


def _new_secret(webhook: Webhook) -> str:
    secret = SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()
    webhook.encrypted_secret = encryption.encrypt(
        secret.encode(), purpose=encryption.WEBHOOK_SECRET, owner=webhook.secret_id
    )
    return secret
