"""What the client writes where, and its exit codes."""

import json
import shutil
import subprocess
import sys

import pytest

from accessflows.models import AccessFlow
from apono_portal.api.models import ApiToken
from requests_app.models import Decision, Status
from tests.api.conftest import make_token
from tests.architecture.sources import ROOT
from tests.factories import AccessFlowFactory, AccessRequestFactory, UserFactory


@pytest.fixture
def user(transactional_db, cli, live_server):
    user = UserFactory()
    _, secret = make_token(user)
    cli.environment.update(APORT_URL=live_server.url, APORT_TOKEN=secret)
    return user


def test_json_is_all_there_is_on_standard_output(cli, user):
    flow = AccessFlowFactory(requester_users=[user], targets=1, require_mfa=True)
    target = flow.targets.get()
    [item] = json.loads(cli.run("inventory", "-o", "json").stdout)
    assert item["id"] == target.pk
    names = (target.resource.name, target.permission.name)
    created = cli.run("request", *names, "--reason", "Look at OPS-1", "-o", "json")
    [request] = json.loads(created.stdout)
    assert created.returncode == 4
    assert request["step_up_url"] in created.stderr
    assert cli.run("revoke", request["reference"]).returncode == 0
    assert request["reference"] in cli.run("requests").stdout


def test_a_refusal_is_a_sentence_on_standard_error(cli, user):
    result = cli.run("request", "nothing", "here")
    assert (result.returncode, result.stdout) == (1, "")
    assert "cannot request that" in result.stderr
    cli.environment["APORT_TOKEN"] = "apt_wrong"
    assert cli.run("access").returncode == 3


def test_a_decision_takes_a_yes_and_protected_ones_a_browser(cli, user):
    requester = UserFactory()
    for require_mfa, exit_code in ((False, 0), (True, 4)):
        flow = AccessFlowFactory(
            requester_users=[requester],
            approver_users=[user],
            approval=AccessFlow.Approval.ANY_OF,
            targets=1,
            require_mfa=require_mfa,
        )
        waiting = AccessRequestFactory(
            requester=requester, flow=flow, status=Status.PENDING_APPROVAL
        )
        assert cli.run("approve", waiting.reference).returncode == 1
        result = cli.run("approve", waiting.reference, "--yes")
        assert result.returncode == exit_code, result.stderr
        assert Decision.objects.filter(request=waiting).exists() is not require_mfa
    assert f"/approvals/{waiting.reference}/" in result.stderr


def test_logout_revokes_the_token(cli, user):
    assert cli.run("logout").returncode == 0
    assert ApiToken.objects.get().revoked_at is not None
    assert cli.run("access").returncode == 3


def test_a_token_goes_nowhere_unencrypted(cli):
    result = cli.run("login", "http://access.example.org", typed="apt_secret\n")
    assert result.returncode == 1
    assert "https://" in result.stderr
    assert cli.run("access").returncode == 3


def test_what_others_wrote_cannot_steer_the_terminal():
    code = "from aport.output import print_table; print_table(['A'], [['\\x1b[2Jx\\u202ey']])"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "cli", capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines()[1] == "?[2Jx?y"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_accepts_its_completion(cli, shell):
    script = cli.run("completion", shell).stdout
    assert "inventory" in script
    if shell == "bash":
        bash = shutil.which("bash")
        subprocess.run([bash, "-n"], input=script, text=True, check=True)
