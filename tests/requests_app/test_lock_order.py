"""What decides on access locks MFA states first, then the request: one order, so nobody waits in a circle."""

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accessflows.connectors.errors import ConnectorError
from apono_portal.core.web.client import SYSTEM
from apono_portal.users.services import reset_mfa_of_user
from mfa.verification.throttle_scope import ThrottleScope
from requests_app.approvals.services import decide_request
from requests_app.exceptions import Conflict, RequestRefused
from requests_app.grants.activation import begin_activation
from requests_app.grants.credentials import reset_credential, reveal_credential
from requests_app.grants.extension import extend_access
from requests_app.models import Decision, Status
from requests_app.submission.step_up import step_up
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    AuthenticatorFactory,
    DecisionFactory,
    GrantFactory,
    UserFactory,
    code_for,
    fresh_window,
)
from tests.fixtures.submission import submit_request

pytestmark = pytest.mark.django_db
STATE, REQUEST = '"mfa_mfastate"', '"requests_app_accessrequest"'


def ask_for(status: Status, **flow: Any) -> Any:
    requester = UserFactory()
    made = AccessFlowFactory(requester_users=[requester], targets=1, **flow)
    return AccessRequestFactory(requester=requester, flow=made, status=status)


def submitting() -> Callable[[], Any]:
    user = UserFactory()
    flow = AccessFlowFactory(requester_users=[user], targets=1)
    return lambda: submit_request(
        actor=user,
        flow=flow,
        target_ids=[flow.targets.get().pk],
        duration=flow.max_duration,
        justification="Look into OPS-1.",
        window=None,
    )


def stepping_up() -> Callable[[], Any]:
    device = AuthenticatorFactory()
    code = code_for(device)
    return lambda: step_up(user=device.user, code=code, scope=ThrottleScope())


def deciding() -> Callable[[], Any]:
    approver = UserFactory()
    request = ask_for(Status.PENDING_APPROVAL, approval="any_of", approver_users=[approver])
    return lambda: decide_request(
        actor=approver,
        request=request,
        verdict=Decision.Verdict.APPROVE,
        reason="",
        fingerprint=request.flow_fingerprint,
        window=None,
    )


def extending() -> Callable[[], Any]:
    request = ask_for(Status.ACTIVE, max_extensions=1)
    return lambda: extend_access(actor=request.requester, request=request, used=0, window=None)


def activating() -> Callable[[], Any]:
    request = ask_for(Status.GRANTING)
    return lambda: begin_activation(request_pk=request.pk)


def showing(service: Callable[..., Any], **fields: Any) -> Callable[[], Any]:
    grant = GrantFactory(login="jit_x", login_mark="1", system_identifier="1", **fields)
    return lambda: service(actor=grant.request.requester, grant=grant, window=None)


ACTIONS: dict[str, Callable[[], Callable[[], Any]]] = {
    "submitting": submitting,
    "stepping up": stepping_up,
    "deciding": deciding,
    "extending": extending,
    "activating": activating,
    "revealing": lambda: showing(reveal_credential),
    "resetting": lambda: showing(reset_credential, revealed_at=timezone.now()),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_the_state_is_locked_before_the_request(action):
    do = ACTIONS[action]()
    # No target answers here, and nothing of that comes before the locks.
    refusals = suppress(Conflict, RequestRefused, ConnectorError)
    with CaptureQueriesContext(connections["default"]) as queries, refusals:
        do()
    locks = [sql for sql in (query["sql"] for query in queries) if _locks(sql)]
    assert locks
    assert STATE in locks[0]


@pytest.mark.parametrize("revoke_access", [True, False])
def test_a_reset_locks_all_it_changes_in_one_pass(revoke_access):
    admin, user = UserFactory(admin=True), UserFactory()
    AuthenticatorFactory(user=user)
    own = AccessRequestFactory(requester=user, status=Status.ACTIVE)
    GrantFactory(request=own)
    decided = ask_for(
        Status.PENDING_APPROVAL, require_mfa=True, approval="any_of", approver_users=[user]
    )
    DecisionFactory(request=decided, approver=user)
    changed = {decided.pk, own.pk} if revoke_access else {decided.pk}
    with CaptureQueriesContext(connections["default"]) as queries:
        reset_mfa_of_user(
            actor=admin,
            window=fresh_window(admin),
            user=user,
            reason="Lost phone",
            revoke_access=revoke_access,
            client_info=SYSTEM,
        )
    whole_rows = [sql for sql in (query["sql"] for query in queries) if _reads_requests(sql)]
    [pks] = re.findall(r"IN \(([0-9, ]+)\) ORDER BY", whole_rows[0])
    assert set(map(int, pks.split(", "))) == changed
    assert not decided.decisions.exists()


def _reads_requests(sql: str) -> bool:
    return f"FROM {REQUEST}" in sql and "flow_name" in sql


def _locks(sql: str) -> bool:
    """On SQLite nothing in the SQL says so: there the whole row of a state or a request is read."""
    if connection.features.has_select_for_update:
        return sql.endswith("FOR UPDATE")
    whole = f'FROM {STATE} WHERE "mfa_mfastate"."user_id" =' in sql
    return whole or (f'FROM {REQUEST} WHERE {REQUEST}."id" =' in sql and "flow_name" in sql)
