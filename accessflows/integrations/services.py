"""Every write of an integration. The target system is called outside transactions."""

from functools import partial
from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction
from django.utils import timezone

from accessflows.dual_control.actions import Confirmation, require_confirmation
from accessflows.exceptions import InvalidInput, Refused
from accessflows.flows.fingerprint import fingerprint_of, terms_of
from accessflows.flows.history import create_version
from accessflows.flows.selectors import flows_using
from accessflows.integrations import protection
from accessflows.integrations.address import (
    check_address,
    integration_digest,
    require_same_server,
    values_of,
)
from accessflows.integrations.certificates import describe_certificates
from accessflows.integrations.terms import ADDRESS_FIELDS, IntegrationInput
from accessflows.models import Integration
from accessflows.permissions import require_admin
from apono_portal.core.crypto import encryption
from apono_portal.core.web.client import ClientInfo
from apono_portal.core.web.seen_state import CHANGED_MEANWHILE
from audit.events import EventName
from audit.services import Metadata, record
from mfa.verification.window import Window

if TYPE_CHECKING:
    from apono_portal.users.models import User

PASSWORD_CHANGE = {"from": "encrypted", "to": "replaced"}
NAME_TAKEN = "Another integration has this name. Choose a different one."
MOVED_MEANWHILE = "Someone else changed this integration. Try again."


def create_integration(
    *, actor: "User", window: Window | None, terms: IntegrationInput, client_info: ClientInfo
) -> Integration:
    """Add an integration with its credential, encrypted. Check it next."""
    if not terms.password:
        raise InvalidInput({"password": "Enter the password or signing secret."})
    integration = Integration(**values_of(terms))
    integration.encrypted_password = _encrypted(integration, terms.password)
    try:
        with transaction.atomic():
            require_admin(actor=actor, window=window)
            integration.save(force_insert=True)
            record(
                event=EventName.INTEGRATION_CREATE,
                actor=actor,
                target=integration,
                client_info=client_info,
                metadata={"terms": _audited(terms)},
            )
    except IntegrityError:
        raise InvalidInput({"name": NAME_TAKEN}) from None
    return integration


def change_integration(
    *,
    actor: "User",
    window: Window | None,
    integration: Integration,
    terms: IntegrationInput,
    seen: str,
    client_info: ClientInfo,
    confirmation: Confirmation | None = None,
) -> Integration:
    """Save an integration. A new address must lead to the same server, and needs the password again.

    ``seen`` is `integration_digest` of what was edited.
    Access granted on a server is revoked there, so an integration stays with its server; and the broker's
    password is never sent to an address typed by somebody who does not know it. Raises
    ConfirmationRequired for another address.
    """
    if confirmation is None:
        check_address(integration, terms)
    try:
        with transaction.atomic():
            require_admin(actor=actor, window=window)
            integration = _locked(integration, seen)
            confirmed = require_confirmation(
                confirmation,
                weakenings=protection.weakenings(integration, terms),
                describe=partial(protection.change_of, integration, terms, seen),
            )
            return _write_change(actor, integration, terms, client_info, confirmed)
    except IntegrityError:
        raise InvalidInput({"name": NAME_TAKEN}) from None


def replace_secret(
    *,
    actor: "User",
    window: Window | None,
    integration: Integration,
    password: str,
    client_info: ClientInfo,
) -> Integration:
    """Replace the broker's password, or a webhook's secret, once the target accepts the new one.

    The old one stays in use until then. An integration that was changed in the meantime is left as it
    is: the new password was tested at another address.
    """
    address = {name: getattr(integration, name) for name in ADDRESS_FIELDS}
    terms = IntegrationInput(name=integration.name, password=password, **address)
    require_same_server(integration, terms, refusal="The target did not accept it.")
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        row = Integration.objects.select_for_update().filter(pk=integration.pk).first()
        if row is None or any(getattr(row, name) != address[name] for name in ADDRESS_FIELDS):
            raise InvalidInput({"password": MOVED_MEANWHILE})
        row.encrypted_password = _encrypted(row, password)
        row.next_check_at = timezone.now()
        row.save(update_fields=["encrypted_password", "next_check_at"])
        record(
            event=EventName.INTEGRATION_CHANGE,
            actor=actor,
            target=row,
            client_info=client_info,
            metadata={"changes": {"password": PASSWORD_CHANGE}},
        )
    return row


def set_integration_active(
    *,
    actor: "User",
    window: Window | None,
    integration: Integration,
    is_active: bool,
    client_info: ClientInfo,
) -> bool:
    """Enable or disable an integration, and return whether that changed anything.

    Access on a disabled integration is no longer eligible; the worker revokes it.
    """
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        changed = Integration.objects.filter(pk=integration.pk, is_active=not is_active).update(
            is_active=is_active
        )
        if changed:
            event = EventName.INTEGRATION_CHANGE if is_active else EventName.INTEGRATION_DISABLE
            record(
                event=event,
                actor=actor,
                target=integration,
                client_info=client_info,
                metadata={"active": is_active},
            )
    return bool(changed)


def _locked(integration: Integration, seen: str) -> Integration:
    locked = Integration.objects.select_for_update().get(pk=integration.pk)
    if integration_digest(locked) != seen:
        raise Refused(CHANGED_MEANWHILE)
    return locked


def _write_change(
    actor: "User",
    integration: Integration,
    terms: IntegrationInput,
    client_info: ClientInfo,
    confirmed: Metadata,
) -> Integration:
    before = values_of(integration)
    changes: dict[str, dict[str, object]] = {
        name: {"from": before[name], "to": value}
        for name, value in values_of(terms).items()
        if before[name] != value
    }
    for name, change in changes.items():
        setattr(integration, name, change["to"])
    if terms.password:
        integration.encrypted_password = _encrypted(integration, terms.password)
        changes["password"] = dict(PASSWORD_CHANGE)
    if "ca_certificates" in changes:
        changes["ca_certificates"] = {
            end: describe_certificates(str(text))
            for end, text in changes["ca_certificates"].items()
        }
    if changes:
        integration.next_check_at = timezone.now()
        integration.save()
        _update_flow_versions(integration, changed_by=actor)
        record(
            event=EventName.INTEGRATION_CHANGE,
            actor=actor,
            target=integration,
            client_info=client_info,
            metadata={"changes": changes, **confirmed},
        )
    return integration


def _update_flow_versions(integration: Integration, *, changed_by: "User") -> None:
    """Add a version to every flow using the integration whose fingerprint has changed."""
    for flow in flows_using(integration).select_for_update().order_by("pk"):
        if fingerprint_of(terms_of(flow)) != flow.fingerprint:
            create_version(flow=flow, changed_by=changed_by)


def _audited(terms: IntegrationInput) -> dict[str, object]:
    return values_of(terms) | {"ca_certificates": describe_certificates(terms.ca_certificates)}


def _encrypted(integration: Integration, password: str) -> str:
    return encryption.encrypt(
        password.encode(), purpose=encryption.BROKER_PASSWORD, owner=integration.secret_id
    )
