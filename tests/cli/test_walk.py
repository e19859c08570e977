"""From a token to psql: the client, a live server, a browser, a worker and a real target."""

import json
import re
import stat
import time

import pytest

from apono_portal.api.scopes import Scope
from requests_app.models import AccessRequest, Status
from tests.api.conftest import make_token
from tests.factories import AuthenticatorFactory, code_for, take_fingerprint
from tests.requests_app.conftest import settle

pytestmark = pytest.mark.django_db(transaction=True)
SHOW_ARGV = "\\! tr '\\\\0' ' ' < /proc/$PPID/cmdline\n"


def wait_for(status: Status) -> AccessRequest:
    give_up_at = time.monotonic() + 20
    while not (request := AccessRequest.objects.filter(status=status).first()):
        assert time.monotonic() < give_up_at
        time.sleep(0.1)
    return request


def test_request_verify_connect_and_revoke(cli, live_server, real_flow, signed_in):
    user, flow = real_flow.requester, real_flow.flow
    flow.require_mfa = True
    flow.save()
    take_fingerprint(flow)
    authenticator = AuthenticatorFactory(user=user)
    _, secret = make_token(user, list(Scope))
    signed_in_cli = cli.run("login", live_server.url, typed=secret)
    assert signed_in_cli.returncode == 0, signed_in_cli.stderr
    stored = cli.home / "aport" / "config.json"
    assert stat.S_IMODE(stored.stat().st_mode) == 0o600

    process = cli.start(
        "request", "orders", "orders_read", "--for", "2h", "--reason", "Look at OPS-1", "--wait"
    )
    process.stdin.write(f"SELECT 'as', current_user;\n{SHOW_ARGV}")
    process.stdin.close()
    request = wait_for(Status.PENDING_MFA)
    browser = signed_in(user)
    form = {"code": code_for(authenticator), "shown": str(request.pk)}
    browser.post(f"/account/step-up/?request={request.pk}", form)
    settle()
    with process:
        out, err = process.stdout.read(), process.stderr.read()
    assert process.returncode == 0, err
    assert f"/account/step-up/?request={request.pk}" in err
    login = request.grants.get().login
    assert re.search(rf"as\s+\|\s+{login}", out)
    assert "psql" in out.splitlines()[-1]
    assert login not in out.splitlines()[-1]

    [shown] = json.loads(cli.run("access", "-o", "json").stdout)
    assert (shown["login"], shown["can_reset"]) == (login, True)
    revoked = cli.run("revoke", request.reference, "-o", "json")
    assert json.loads(revoked.stdout)["status"] == "revoking"
    settle()
    request.refresh_from_db()
    assert request.status == Status.REVOKED
    again = cli.run("connect", request.reference)
    assert (again.returncode, again.stdout) == (1, "")
