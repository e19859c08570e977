"""The fields of an integration, its address among them, and whether an address leads to the same server."""

from accessflows.connectors.errors import ConnectorError
from accessflows.connectors.protocol import Target
from accessflows.connectors.registry import WEBHOOK, connector_for, find_kind, kind_named
from accessflows.exceptions import InvalidInput
from accessflows.integrations.inspection import DIFFERENT_SERVER, is_different_server
from accessflows.integrations.terms import ADDRESS_FIELDS, OTHER_FIELDS, IntegrationInput
from accessflows.models import Integration
from apono_portal.core.web.seen_state import digest_of

PASSWORD_NEEDED = (
    "Enter the password or signing secret again. The stored one is not sent to a new address."
)


def check_address(integration: Integration, terms: IntegrationInput) -> None:
    """Raise InvalidInput for a new address without the password, or one of another server.

    It calls the target system, so never in a transaction.
    """
    if has_new_address(integration, terms) and not terms.password:
        raise InvalidInput({"password": PASSWORD_NEEDED})
    if terms.password and integration.system_identifier:
        require_same_server(integration, terms)


def require_same_server(
    integration: Integration,
    terms: IntegrationInput,
    refusal: str = "Nothing was saved, because the new address could not be checked.",
) -> None:
    """Raise InvalidInput unless this input leads to the server the integration is for."""
    target = Target(
        host=terms.host,
        port=terms.port,
        user=terms.broker,
        password=terms.password or "",
        settings=kind_named(terms.kind).settings.of(terms.settings),
        sslmode=terms.sslmode,
        ca_certificates=terms.ca_certificates,
    )
    address_field = "url" if terms.kind == WEBHOOK else "host"
    field = address_field if has_new_address(integration, terms) else "password"
    try:
        inventory = connector_for(terms.kind).discover(target)
    except ConnectorError as error:
        raise InvalidInput({field: f"{refusal} {error.sentence}"}) from None
    if is_different_server(integration, inventory):
        raise InvalidInput({field: DIFFERENT_SERVER})


def has_new_address(integration: Integration, terms: IntegrationInput) -> bool:
    before, after = values_of(integration), values_of(terms)
    return any(before[name] != after[name] for name in ADDRESS_FIELDS)


def integration_digest(integration: Integration) -> str:
    """Return the digest of what can be changed of an integration, but for its password."""
    return digest_of(values_of(integration))


def values_of(source: Integration | IntegrationInput) -> dict[str, object]:
    """Return all fields, with every setting that the kind declares."""
    values = {name: getattr(source, name) for name in (*OTHER_FIELDS, *ADDRESS_FIELDS)}
    kind = find_kind(source.kind)
    settings: dict[str, object] = dict(source.settings)
    if kind:
        settings = kind.settings.of(source.settings).as_dict()
    return values | {"settings": settings}
