"""Changing an integration's address weakens protection: a second admin confirms it."""

from collections.abc import Iterator
from dataclasses import dataclass

from accessflows.dual_control.actions import (
    Arguments,
    Change,
    Difference,
    ProtectedAction,
    declare,
    differs,
)
from accessflows.integrations.address import (
    check_address,
    has_new_address,
    integration_digest,
    values_of,
)
from accessflows.integrations.certificates import describe_certificates
from accessflows.integrations.terms import IntegrationInput
from accessflows.models import Integration


def weakenings(integration: Integration, terms: IntegrationInput) -> Iterator[str]:
    """Yield a sentence if the portal would connect to another address, or otherwise protected."""
    if has_new_address(integration, terms):
        yield "The portal connects to another address, or with other TLS settings."


@dataclass(frozen=True, kw_only=True)
class ChangedIntegration(Arguments):
    """The new fields of an integration, and the digest of those that were edited."""

    terms: IntegrationInput
    seen: str


def _check(integration: Integration, arguments: ChangedIntegration) -> None:
    check_address(integration, arguments.terms)


CHANGE_INTEGRATION = declare(
    ProtectedAction(
        name="integration:change",
        label="Edit integration",
        service="accessflows.integrations.services.change_integration",
        arguments=ChangedIntegration,
        model=Integration,
        parameter="integration",
        page="integrations:detail",
        check=_check,
        fingerprint=integration_digest,
    )
)


def change_of(integration: Integration, terms: IntegrationInput, seen: str) -> Change:
    return Change(
        action=CHANGE_INTEGRATION,
        target=integration,
        title=integration.name,
        arguments=ChangedIntegration(terms=terms, seen=seen),
        differences=tuple(_differences(integration, terms)),
    )


def _differences(integration: Integration, terms: IntegrationInput) -> Iterator[Difference]:
    """Yield what changes, without secrets."""
    before, after = _shown(integration), _shown(terms)
    for name, value in after.items():
        if before.get(name) != value:
            yield differs(name, before.get(name, ""), value)
    if terms.password:
        yield differs("Password", "Stored", "Replaced")


def _shown(source: Integration | IntegrationInput) -> dict[str, object]:
    values = values_of(source)
    settings = values.pop("settings")
    values["ca_certificates"] = describe_certificates(str(values["ca_certificates"]))
    named = {_label(name): value for name, value in values.items()}
    if isinstance(settings, dict):
        named |= {name.capitalize(): value for name, value in settings.items()}
    return named


def _label(name: str) -> str:
    field = Integration._meta.get_field(name)
    label = str(getattr(field, "verbose_name", name))
    return label[:1].upper() + label[1:]
