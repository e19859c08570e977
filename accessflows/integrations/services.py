"""Every write of an integration. The target system is asked outside transactions, then stored."""

from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from accessflows.connectors.errors import ConnectorError
from accessflows.connectors.protocol import Target
from accessflows.connectors.registry import connector_for
from accessflows.exceptions import InvalidInput
from accessflows.flows.fingerprint import fingerprint_of, terms_of
from accessflows.flows.history import stamp_version
from accessflows.flows.selectors import flows_through
from accessflows.flows.terms import OTHER_INTEGRATION_TERMS
from accessflows.integrations.inspection import ANOTHER_SERVER, is_another_server
from accessflows.integrations.terms import ADDRESS_FIELDS, IntegrationInput
from accessflows.models import Integration
from accessflows.permissions import require_admin
from apono_portal.core.crypto import encryption
from apono_portal.core.web.client import ClientInfo
from audit.events import EventName
from audit.services import record
from mfa.verification.window import Window

NAME_TAKEN = "Another integration has this name. Choose a different one."
PASSWORD_AGAIN = "Enter the broker's password again, or a webhook's secret: it is not sent to a new address without being known to you."


def create_integration(
    *, actor: Any, window: Window | None, terms: IntegrationInput, client_info: ClientInfo
) -> Integration:
    """Add an integration. The broker's password is sealed for this row; check it next."""
    if not terms.password:
        raise InvalidInput({"password": "Enter the broker's password."})
    integration = Integration(**_all_terms(terms))
    integration.encrypted_password = _sealed(integration, terms.password)
    try:
        with transaction.atomic():
            require_admin(actor=actor, window=window)
            integration.save(force_insert=True)
            record(
                event=EventName.INTEGRATION_CREATE,
                actor=actor,
                target=integration,
                client_info=client_info,
                metadata={"terms": _all_terms(terms)},
            )
    except IntegrityError:
        raise InvalidInput({"name": NAME_TAKEN}) from None
    return integration


def change_integration(
    *,
    actor: Any,
    window: Window | None,
    integration: Integration,
    terms: IntegrationInput,
    client_info: ClientInfo,
) -> Integration:
    """Save an integration. A new address must lead to the same server, and costs the password.

    Access given on a server is ended there, so an integration stays with its server; and a broker's
    password is not sent where whoever typed the address does not already know it.
    """
    moved = any(getattr(integration, name) != getattr(terms, name) for name in ADDRESS_FIELDS)
    if moved and not terms.password:
        raise InvalidInput({"password": PASSWORD_AGAIN})
    if terms.password and integration.system_identifier:
        _require_same_server(integration, terms)
    try:
        with transaction.atomic():
            require_admin(actor=actor, window=window)
            return _write_change(
                actor=actor, pk=integration.pk, terms=terms, client_info=client_info
            )
    except IntegrityError:
        raise InvalidInput({"name": NAME_TAKEN}) from None


def replace_secret(
    *,
    actor: Any,
    window: Window | None,
    integration: Integration,
    password: str,
    client_info: ClientInfo,
) -> Integration:
    """Replace the broker's password, or a webhook's secret, once the target has taken the new one.

    The old one stays sealed until then. An integration that was changed meanwhile is left as it is:
    the new password was tested at another address.
    """
    address = {name: getattr(integration, name) for name in ADDRESS_FIELDS}
    terms = IntegrationInput(name=integration.name, password=password, **address)
    _require_same_server(integration, terms, refusal="The new one was not taken there.")
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        found = Integration.objects.select_for_update().filter(pk=integration.pk).first()
        if found is None or any(getattr(found, name) != address[name] for name in ADDRESS_FIELDS):
            raise InvalidInput(
                {"password": "This integration was changed meanwhile. Attempt again."}
            )
        found.encrypted_password = _sealed(found, password)
        found.next_check_at = timezone.now()
        found.save(update_fields=["encrypted_password", "next_check_at"])
        record(
            event=EventName.INTEGRATION_CHANGE,
            actor=actor,
            target=found,
            client_info=client_info,
            metadata={"changes": {"password": {"from": "sealed", "to": "replaced"}}},
        )
    return found


def set_integration_active(
    *,
    actor: Any,
    window: Window | None,
    integration: Integration,
    is_active: bool,
    client_info: ClientInfo,
) -> bool:
    """Enable or disable, and return whether that changed anything.

    What is open on an integration that is disabled loses its ground; the worker ends it.
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


def _require_same_server(
    integration: Integration,
    terms: IntegrationInput,
    refusal: str = "The new address could not be checked, so nothing was saved.",
) -> None:
    """Raise InvalidInput unless these terms lead to the server the integration knows."""
    target = Target(
        host=terms.host,
        port=terms.port,
        database=terms.database,
        user=terms.broker,
        password=terms.password or "",
        sslmode=terms.sslmode,
        sslrootcert=terms.sslrootcert,
        url=terms.url,
    )
    moved = any(getattr(integration, name) != getattr(terms, name) for name in ADDRESS_FIELDS)
    address = "url" if terms.kind == Integration.Kind.WEBHOOK else "host"
    field = address if moved else "password"
    try:
        inventory = connector_for(terms.kind).discover(target)
    except ConnectorError as error:
        raise InvalidInput({field: f"{refusal} {error.sentence}"}) from None
    if is_another_server(integration, inventory):
        raise InvalidInput({field: ANOTHER_SERVER})


def _write_change(
    *, actor: Any, pk: int, terms: IntegrationInput, client_info: ClientInfo
) -> Integration:
    integration = Integration.objects.select_for_update().get(pk=pk)
    changes = {
        name: {"from": getattr(integration, name), "to": value}
        for name, value in _all_terms(terms).items()
        if getattr(integration, name) != value
    }
    for name, change in changes.items():
        setattr(integration, name, change["to"])
    if terms.password:
        integration.encrypted_password = _sealed(integration, terms.password)
        changes["password"] = {"from": "sealed", "to": "replaced"}
    if changes:
        integration.next_check_at = timezone.now()
        integration.save()
        _restamp_flows(integration, changed_by=actor)
        record(
            event=EventName.INTEGRATION_CHANGE,
            actor=actor,
            target=integration,
            client_info=client_info,
            metadata={"changes": changes},
        )
    return integration


def _restamp_flows(integration: Integration, *, changed_by: Any) -> None:
    """Give every flow that leads there a new version if its fingerprint is another now."""
    for flow in flows_through(integration).select_for_update().order_by("pk"):
        if fingerprint_of(terms_of(flow)) != flow.fingerprint:
            stamp_version(flow=flow, changed_by=changed_by)


def _all_terms(terms: IntegrationInput) -> dict[str, Any]:
    return {name: getattr(terms, name) for name in (*OTHER_INTEGRATION_TERMS, *ADDRESS_FIELDS)}


def _sealed(integration: Integration, password: str) -> str:
    return encryption.encrypt(
        password.encode(), purpose=encryption.BROKER_PASSWORD, owner=integration.secret_id
    )
