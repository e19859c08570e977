"""A request that something else has locked delays no other one."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection, transaction

from requests_app.grants.revocation import revoke_ineligible
from requests_app.models import AccessRequest, Status
from requests_app.worker.reconciler import start_activations
from tests.factories import AccessRequestFactory, UserFactory

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def locked(request: AccessRequest) -> Iterator[None]:
    """Hold the row in a transaction of another connection."""
    if connection.vendor == "sqlite":
        pytest.skip("SQLite locks no rows.")
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            AccessRequest.objects.select_for_update().get(pk=request.pk)
            held.set()
            release.wait(30)
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    try:
        yield
    finally:
        release.set()
        thread.join(10)


def test_other_requests_are_activated():
    frozen, other = AccessRequestFactory(), AccessRequestFactory()
    with locked(frozen):
        start_activations()
        assert other.grants.exists()
        assert not frozen.grants.exists()


def test_other_access_is_revoked():
    frozen, other = AccessRequestFactory(), AccessRequestFactory()
    for request in (frozen, other):
        request.requester = UserFactory(is_active=False)
        request.save()
    with locked(frozen):
        revoke_ineligible()
        other.refresh_from_db()
    assert other.status == Status.CANCELLED
