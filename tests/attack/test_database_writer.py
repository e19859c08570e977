"""The campaign's forgeries fit the tables: a statement that fails would attack nothing."""

import pytest
from django.db import IntegrityError, connection, transaction
from psycopg.errors import CheckViolation

from bench.attack.attacks.database_writer import EDITS
from requests_app.models import Status
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    GrantFactory,
    UserFactory,
    VerificationFactory,
)

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="written for PostgreSQL"),
]


@pytest.fixture
def rows() -> dict[str, int]:
    owner, thief = UserFactory.create_batch(2)
    flow = AccessFlowFactory(require_mfa=True, requester_users=[owner, thief], targets=1)
    verification = VerificationFactory(user=owner)
    active = AccessRequestFactory(
        flow=flow, requester=owner, status=Status.ACTIVE, verification=verification
    )
    GrantFactory(request=active)
    pending = AccessRequestFactory(flow=flow, requester=thief, status=Status.PENDING_MFA)
    return {"owner": owner.pk, "thief": thief.pk, "active": active.pk, "pending": pending.pk}


def execute(statement: str, rows: dict[str, int]) -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, rows)
        return cursor.rowcount


def test_a_status_alone_breaks_a_check(rows: dict[str, int]) -> None:
    with pytest.raises(IntegrityError) as refusal:
        execute(EDITS[0], rows)
    assert isinstance(refusal.value.__cause__, CheckViolation)


@pytest.mark.parametrize("statement", EDITS[1:], ids=range(1, len(EDITS)))
def test_any_other_forgery_changes_a_row(rows: dict[str, int], statement: str) -> None:
    assert execute(statement, rows) == 1
