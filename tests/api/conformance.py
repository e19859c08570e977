"""Every operation of the API against its own document, with schemathesis: ``make check-api``.

It is no part of ``make test``: it makes hundreds of calls.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from accessflows.models import AccessFlow
from requests_app.models import Status
from tests.api.conftest import make_token
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    GrantFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db(transaction=True)
EXAMPLES = 5
# A refusal of a service is a 422 as well, and a token may be revoked only once.
LEFT_OUT = [
    "--exclude-checks",
    "positive_data_acceptance",
    "--exclude-path",
    "/api/v1/me/token/revoke",
]


def real_ids(user) -> dict[str, object]:
    flow = AccessFlowFactory(
        requester_users=[user],
        approver_users=[user],
        approval=AccessFlow.Approval.ANY_OF,
        allow_self_approval=True,
        targets=2,
    )
    grant = GrantFactory(
        request=AccessRequestFactory(requester=user, flow=flow, status=Status.ACTIVE)
    )
    waiting = AccessRequestFactory(requester=user, flow=flow, status=Status.PENDING_APPROVAL)
    return {
        "request_id": waiting.pk,
        "grant_id": str(grant.pk),
        "flow_id": flow.pk,
        "user_id": user.pk,
    }


def test_every_operation_does_what_the_document_says(live_server, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("apono_portal.api.authentication.CALLS_PER_MINUTE", 1_000_000)
    user = UserFactory(admin=True)
    _, secret = make_token(user)
    parameters = [f'"path.{name}" = {value!r}' for name, value in real_ids(user).items()]
    config = tmp_path / "schemathesis.toml"
    config.write_text("\n".join(["[parameters]", *parameters]))
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        *("--config-file", str(config), "run"),
        f"{live_server.url}/api/v1/openapi.json",
        *("--header", f"Authorization: Bearer {secret}"),
        *("--phases", "examples,coverage,fuzzing", "--max-examples", str(EXAMPLES)),
        *LEFT_OUT,
    ]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert result.returncode == 0, result.stdout[-12_000:] + result.stderr
