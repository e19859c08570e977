"""What the two busiest writes ask of the database, whatever is stored already.

BEGIN and COMMIT apart. A right code from a browser its owner has used, and a protected request in
the open hour.
"""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from mfa.models import Outcome, TrustedBrowser, Verification
from mfa.verification.trusted_browsers import cookie_name, nonce_hash, signed_cookie
from requests_app.models import AccessRequest, Status
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    AuthenticatorFactory,
    UserFactory,
    VerificationFactory,
    code_for,
    window_of,
)
from tests.fixtures.submission import submit_request

pytestmark = pytest.mark.django_db

MAX_FOR_A_CODE = 14
MAX_FOR_A_REQUEST = 14
ROUND_IT = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE SAVEPOINT")


def statements(queries):
    return [query["sql"] for query in queries if not query["sql"].startswith(ROUND_IT)]


@pytest.fixture
def device():
    return AuthenticatorFactory()


def known_to(client, device):
    TrustedBrowser.objects.create(user=device.user, nonce_hash=nonce_hash("nonce"), epoch=0)
    client.cookies[cookie_name(device.user_id)] = signed_cookie(device.user_id, "nonce")
    return client


@pytest.mark.parametrize("past", [0, 60])
def test_a_right_code_takes_few_statements(signed_in, device, past):
    Verification.objects.bulk_create(
        Verification(user=device.user, outcome=Outcome.OK, epoch=0) for _ in range(past)
    )
    AccessRequestFactory.create_batch(past // 20, requester=device.user, status=Status.EXPIRED)
    client = known_to(signed_in(device.user), device)
    with CaptureQueriesContext(connection) as queries:
        answer = client.post(reverse("requests:step_up"), {"code": code_for(device)})
    assert answer.status_code == 302
    assert len(statements(queries)) <= MAX_FOR_A_CODE


@pytest.mark.parametrize("past", [0, 40])
def test_a_protected_request_takes_few_statements(device, past):
    success = VerificationFactory(user=device.user, device_id=device.pk)
    flow = AccessFlowFactory(require_mfa=True, requester_users=[device.user], targets=1)
    UserFactory.create_batch(past // 10)
    AccessRequestFactory.create_batch(past // 10, requester=device.user, flow=flow, verification=success)  # fmt: skip
    window = window_of(success)
    targets = list(flow.targets.values_list("pk", flat=True))
    with CaptureQueriesContext(connection) as queries:
        made = submit_request(
            actor=device.user,
            flow=flow,
            target_ids=targets,
            duration=flow.max_duration,
            justification="Look into the failed import, OPS-1.",
            window=window,
        )
    assert made.status == Status.GRANTING
    assert AccessRequest.objects.get(pk=made.pk).verification == success
    assert len(statements(queries)) <= MAX_FOR_A_REQUEST
