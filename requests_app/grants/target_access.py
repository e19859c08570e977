"""Connectors of grants, and their errors as sentences."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import attrgetter

import structlog
from django.conf import settings
from django.db import Error as PortalDatabaseError

from accessflows.connectors.errors import ConnectorError, TargetRefused, TargetUnavailable
from accessflows.connectors.protocol import (
    AccountListing,
    ConnectionLine,
    Connector,
    Credential,
    GrantIdentity,
    Target,
)
from accessflows.connectors.registry import connector_for
from accessflows.models import Integration
from apono_portal.core.crypto.encryption import DecryptionFailed
from requests_app.models import UNCONTAINED, Grant

log = structlog.get_logger(__name__)

BATCH_SIZE = 200  # logins held in memory


def connector_of(grant: Grant) -> tuple[Integration, Connector, Target]:
    """Return integration, connector and target of a grant, or raise `TargetRefused`."""
    integration = grant.integration
    if integration is None:
        raise TargetRefused("The integration of this grant was deleted.")
    return integration, *connector_of_integration(integration)


def connector_of_integration(integration: Integration) -> tuple[Connector, Target]:
    """Return connector and target, or raise `TargetRefused`."""
    try:
        return connector_for(integration.kind), integration.target()
    except DecryptionFailed:
        raise TargetRefused(
            f"The broker password of {integration.name} cannot be decrypted with ENCRYPTION_KEYS. "
            "Add the key it was encrypted with, or enter the password again."
        ) from None


def connection_lines_of(credential: Credential, grant: Grant) -> tuple[ConnectionLine, ...]:
    """Return how to use a credential; nothing if that cannot be told, as it is shown only once."""
    try:
        with connector_errors():
            integration, connector, target = connector_of(grant)
            return connector.connection_lines(target, grant.spec(integration), credential)
    except ConnectorError:
        return ()


def integrations_with_access() -> list[int]:
    """Return the ids of the integrations with grants that are not contained."""
    grants = Grant.objects.filter(state__in=UNCONTAINED).exclude(integration=None)
    return list(grants.order_by().values_list("integration_id", flat=True).distinct())


def keep_connections(integration_id: int) -> None:
    """Keep this process's connections to a target, one per database with access.

    Failures are reported by whatever needs them.
    """
    grants = Grant.objects.filter(integration=integration_id, state__in=UNCONTAINED)
    databases = list(grants.order_by().values_list("resource", flat=True).distinct())
    try:
        connector, target = connector_of_integration(Integration.objects.get(pk=integration_id))
        with connector_errors():
            connector.keep_connections(target, databases)
    except (ConnectorError, Integration.DoesNotExist) as error:
        log.warning("connection_not_kept", integration=integration_id, error=type(error).__name__)


@contextmanager
def connector_errors() -> Iterator[None]:
    """Raise a `ConnectorError` for any failure of a target, so that the step is retried.

    Of an unexpected error only the class is kept, as its text may contain secrets. Errors of the
    portal's own database pass through; the lease expires and the step is repeated.
    """
    try:
        yield
    except (ConnectorError, PortalDatabaseError):
        raise
    except Exception as error:  # noqa: BLE001
        name = type(error).__name__
        log.error("connector_failed", error=name)
        raise TargetUnavailable(f"The connector failed ({name}). The portal will retry.") from None


def iter_managed_accounts(
    connector: Connector, target: Target, identities: Iterable[GrantIdentity]
) -> Iterator[tuple[Sequence[str], AccountListing]]:
    """List managed accounts in pages, by name. Yield the names of ``identities`` on a page, and the page.

    Names are ordered here, as databases and targets differ in how they order text.
    """
    ordered = sorted(identities, key=attrgetter("name"))
    names = [identity.name for identity in ordered]
    after: str | None = ""
    while after is not None:
        first = bisect_right(names, after)
        batch = ordered[first : first + BATCH_SIZE]
        up_to = batch[-1].name if len(batch) == BATCH_SIZE else None
        with connector_errors():
            listing = connector.list_managed_accounts(
                target, settings.PORTAL_ID, batch, after=after, up_to=up_to
            )
        after = listing.up_to
        yield names[first : len(names) if after is None else bisect_right(names, after)], listing
