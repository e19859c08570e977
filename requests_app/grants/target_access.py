"""Reaching the target of a grant, and turning whatever goes wrong there into a sentence."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import structlog
from django.conf import settings
from django.db import Error as DatabaseTrouble

from accessflows.connectors.errors import ConnectorError, TargetRefused, TargetUnavailable
from accessflows.connectors.protocol import Connector, GrantIdentity, RoleListing, Target
from accessflows.connectors.registry import connector_for
from accessflows.models import Integration
from apono_portal.core.crypto.encryption import DecryptionFailed
from requests_app.models import Grant

log = structlog.get_logger(__name__)

AT_ONCE = 200  # logins that are held at once


def reach(grant: Grant) -> tuple[Integration, Connector, Target]:
    """Return integration, connector and address, or raise `TargetRefused`."""
    integration = grant.integration
    if integration is None:
        raise TargetRefused("The integration of this grant is gone from the portal.")
    return integration, *reach_integration(integration)


def reach_integration(integration: Integration) -> tuple[Connector, Target]:
    """Return connector and address, or raise `TargetRefused`."""
    try:
        return connector_for(integration.kind), integration.target()
    except DecryptionFailed:
        raise TargetRefused(
            f"The broker password of {integration.name} cannot be opened with the keys in "
            "ENCRYPTION_KEYS. Add the key it was sealed with, or enter the password anew."
        ) from None


@contextmanager
def draft() -> Iterator[None]:
    """Make whatever goes wrong with a target a `ConnectorError`, so that the grant is tried again.

    Of an unforeseen error only the kind is kept: its text may hold anything. The portal's own
    database is another matter; the lease runs out and the step is done again.
    """
    try:
        yield
    except (ConnectorError, DatabaseTrouble):
        raise
    except Exception as error:  # noqa: BLE001
        name = type(error).__name__
        log.error("connector_broke_off", error=name)
        raise TargetUnavailable(
            f"The connector broke off ({name}). The portal attempts again."
        ) from None


def iter_managed_roles(
    connector: Connector, target: Target, known: Callable[[int], Sequence[GrantIdentity]]
) -> Iterator[tuple[int, RoleListing]]:
    """Call the roll in the order of OIDs, some at a time. Yields after which OID, and the answer.

    ``known`` returns up to `AT_ONCE` of those the portal knows after an OID, in order.
    """
    after: int | None = 0
    while after is not None:
        identities = known(after)
        up_to = identities[-1].role_oid if len(identities) == AT_ONCE else None
        with draft():
            roll = connector.list_managed_roles(
                target, settings.PORTAL_ID, identities, after=after, up_to=up_to
            )
        yield after, roll
        after = roll.up_to
