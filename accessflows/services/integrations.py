"""Every write of an integration. The target system is asked outside transactions, then stored."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from accessflows.authority import require_admin
from accessflows.connectors.errors import ConnectorError
from accessflows.connectors.protocol import CapabilityRole, Check, Inventory, Target
from accessflows.connectors.registry import connector_for
from accessflows.exceptions import Refused, TermsRefused
from accessflows.fingerprint import fingerprint_of, terms_of
from accessflows.models import Integration, Permission, Resource
from accessflows.rights import Words, read_rights
from accessflows.selectors import flows_through
from accessflows.terms import ADDRESS_TERMS, OTHER_INTEGRATION_TERMS, IntegrationTerms
from accessflows.versions import stamp_version
from audit.events import EventName
from audit.origin import Origin
from audit.services import record
from mfa import sealing
from mfa.window import Window

NAME_TAKEN = "Another integration has this name. Choose a different one."
PASSWORD_AGAIN = "Enter the broker's password again, or a webhook's secret: it is not sent to a new address without being known to you."
ANOTHER_SERVER = (
    "This is another server than before. Add it as an integration of its own, so that access given "
    "on the old one still ends there."
)
# When an integration is checked again by itself, by what the last check said.
CHECK_AGAIN = {
    Integration.Health.HEALTHY: timedelta(days=1),
    Integration.Health.LIMITED: timedelta(hours=1),
    Integration.Health.DOWN: timedelta(minutes=5),
}


@dataclass(frozen=True)
class Survey:
    """What a target said about itself. ``inventory`` is None when it could not be read."""

    checks: list[Check]
    inventory: Inventory | None
    words: Words = field(default_factory=dict)

    @property
    def health(self) -> Integration.Health:
        if self.inventory is None:
            return Integration.Health.DOWN
        good = all(check.ok for check in self.checks)
        return Integration.Health.HEALTHY if good else Integration.Health.LIMITED


def create_integration(
    *, actor: Any, window: Window | None, terms: IntegrationTerms, origin: Origin
) -> Integration:
    """Add an integration. The broker's password is sealed for this row; check it next."""
    if not terms.password:
        raise TermsRefused({"password": "Enter the broker's password."})
    integration = Integration(**_all_terms(terms))
    integration.sealed_password = _sealed(integration, terms.password)
    try:
        with transaction.atomic():
            require_admin(actor=actor, window=window)
            integration.save(force_insert=True)
            record(
                event=EventName.INTEGRATION_CREATE,
                actor=actor,
                target=integration,
                origin=origin,
                metadata={"terms": _all_terms(terms)},
            )
    except IntegrityError:
        raise TermsRefused({"name": NAME_TAKEN}) from None
    return integration


def change_integration(
    *,
    actor: Any,
    window: Window | None,
    integration: Integration,
    terms: IntegrationTerms,
    origin: Origin,
) -> Integration:
    """Save an integration. A new address must lead to the same server, and costs the password.

    Access given on a server is ended there, so an integration stays with its server; and a broker's
    password is not sent where whoever typed the address does not already know it.
    """
    moved = any(getattr(integration, name) != getattr(terms, name) for name in ADDRESS_TERMS)
    if moved and not terms.password:
        raise TermsRefused({"password": PASSWORD_AGAIN})
    if moved and integration.system_identifier:
        _require_same_server(integration, terms)
    try:
        with transaction.atomic():
            require_admin(actor=actor, window=window)
            return _write_change(actor=actor, pk=integration.pk, terms=terms, origin=origin)
    except IntegrityError:
        raise TermsRefused({"name": NAME_TAKEN}) from None


def set_integration_active(
    *,
    actor: Any,
    window: Window | None,
    integration: Integration,
    is_active: bool,
    origin: Origin,
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
                origin=origin,
                metadata={"active": is_active},
            )
    return bool(changed)


def check_integration(*, actor: Any | None, integration: Integration, origin: Origin) -> Survey:
    """Ask the target about itself, then store health, resources and permissions.

    Nothing is stored when the integration was changed meanwhile: the answer was about another one.
    A check that nobody asked for is put on the record only when it says something new.
    """
    survey = _survey(integration)
    if _is_another_server(integration, survey.inventory):
        survey = Survey(
            [*survey.checks, Check("same_server", ok=False, sentence=ANOTHER_SERVER)], None
        )
    with transaction.atomic():
        found = Integration.objects.select_for_update().filter(pk=integration.pk).first()
        if found is None or _address_of(found) != _address_of(integration):
            raise Refused("This integration was changed meanwhile. Check it again.")
        before = _result_of(found)
        _store_health(found, survey)
        seen = _store_inventory(found, survey)
        if actor is not None or _result_of(found) != before:
            event = EventName.INTEGRATION_CHECK
            metadata = _result_of(found)
            record(event=event, actor=actor, target=found, origin=origin, metadata=metadata)
        if any(seen.values()):
            event = EventName.INTEGRATION_DISCOVER
            record(event=event, actor=actor, target=found, origin=origin, metadata=seen)
    return survey


def _survey(integration: Integration) -> Survey:
    """Ask the target, and turn what goes wrong into a red line."""
    try:
        connector, target = connector_for(integration.kind), integration.target()
        checks = connector.preflight(target, portal_id=settings.PORTAL_ID)
        inventory = connector.discover(target)
        if _is_another_server(integration, inventory):
            return Survey(checks, inventory)
        return Survey(checks, inventory, read_rights(integration, connector, target, inventory))
    except sealing.SealBroken:
        sentence = "The sealed password cannot be opened. Enter the broker's password again."
        return Survey([Check("broker_password", ok=False, sentence=sentence)], None)
    except ConnectorError as error:
        return Survey([Check("reachable", ok=False, sentence=error.sentence)], None)


def _is_another_server(integration: Integration, inventory: Inventory | None) -> bool:
    known = integration.system_identifier
    return bool(known and inventory and inventory.system_identifier != known)


def _require_same_server(integration: Integration, terms: IntegrationTerms) -> None:
    """Raise TermsRefused unless the new address leads to the server the integration knows."""
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
    address = "url" if terms.kind == Integration.Kind.WEBHOOK else "host"
    try:
        inventory = connector_for(terms.kind).discover(target)
    except ConnectorError as error:
        sentence = f"The new address could not be checked, so nothing was saved. {error.sentence}"
        raise TermsRefused({address: sentence}) from None
    if _is_another_server(integration, inventory):
        raise TermsRefused({address: ANOTHER_SERVER})


def _write_change(*, actor: Any, pk: int, terms: IntegrationTerms, origin: Origin) -> Integration:
    integration = Integration.objects.select_for_update().get(pk=pk)
    changes = {
        name: {"from": getattr(integration, name), "to": value}
        for name, value in _all_terms(terms).items()
        if getattr(integration, name) != value
    }
    for name, change in changes.items():
        setattr(integration, name, change["to"])
    if terms.password:
        integration.sealed_password = _sealed(integration, terms.password)
        changes["password"] = {"from": "sealed", "to": "replaced"}
    if changes:
        integration.next_check_at = timezone.now()
        integration.save()
        _restamp_flows(integration, changed_by=actor)
        record(
            event=EventName.INTEGRATION_CHANGE,
            actor=actor,
            target=integration,
            origin=origin,
            metadata={"changes": changes},
        )
    return integration


def _restamp_flows(integration: Integration, *, changed_by: Any) -> None:
    """Give every flow that leads there a new version if its fingerprint is another now."""
    for flow in flows_through(integration).select_for_update().order_by("pk"):
        if fingerprint_of(terms_of(flow)) != flow.fingerprint:
            stamp_version(flow=flow, changed_by=changed_by)


def _result_of(integration: Integration) -> dict[str, Any]:
    failed = [check["name"] for check in integration.health_report if not check["ok"]]
    return {"health": integration.health, "failed": failed}


def _store_health(integration: Integration, survey: Survey) -> None:
    integration.health = survey.health
    integration.health_checked_at = timezone.now()
    integration.next_check_at = integration.health_checked_at + CHECK_AGAIN[survey.health]
    integration.health_report = [check.as_dict() for check in survey.checks]
    if survey.inventory:
        integration.server_version = survey.inventory.server_version
        integration.system_identifier = survey.inventory.system_identifier
        integration.discovered_at = integration.health_checked_at
    integration.save()


def _store_inventory(integration: Integration, survey: Survey) -> dict[str, list[str]]:
    """Store what is there, mark what vanished, and return the names that came and went."""
    inventory = survey.inventory
    if inventory is None:
        return {}
    resources: dict[str, dict[str, Any]] = {name: {} for name in inventory.databases}
    permissions = {
        role.name: {"rights": _rights_of(role, survey.words.get(role.name, {}))}
        for role in inventory.roles
    }
    new_resources, gone_resources = _store_offered(Resource, integration, resources)
    new_permissions, gone_permissions = _store_offered(Permission, integration, permissions)
    return {
        "new_resources": new_resources,
        "vanished_resources": gone_resources,
        "new_permissions": new_permissions,
        "vanished_permissions": gone_permissions,
    }


def _store_offered(
    model: Any, integration: Integration, seen: dict[str, dict[str, Any]]
) -> tuple[list[str], list[str]]:
    known = {each.name: each for each in model.objects.filter(integration=integration)}
    came = sorted(name for name in seen if name not in known or not known[name].is_present)
    for name, values in seen.items():
        model.objects.update_or_create(
            integration=integration, name=name, defaults={**values, "vanished_at": None}
        )
    gone = sorted(name for name, each in known.items() if each.is_present and name not in seen)
    model.objects.filter(integration=integration, name__in=gone).update(vanished_at=timezone.now())
    return came, gone


def _rights_of(role: CapabilityRole, words: dict[str, list[str]]) -> dict[str, object]:
    return {"databases": list(role.databases), "refusal": role.refusal, "words": words}


def _all_terms(terms: IntegrationTerms) -> dict[str, Any]:
    return {name: getattr(terms, name) for name in (*OTHER_INTEGRATION_TERMS, *ADDRESS_TERMS)}


def _address_of(integration: Integration) -> list[Any]:
    """Return what a survey's answer is about: address and credential, still sealed."""
    return [getattr(integration, name) for name in (*ADDRESS_TERMS, "sealed_password")]


def _sealed(integration: Integration, password: str) -> str:
    return sealing.seal(
        password.encode(), purpose=sealing.BROKER_PASSWORD, owner=integration.seal_id
    )
