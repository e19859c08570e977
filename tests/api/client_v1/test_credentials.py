"""A credential in the contract's shapes, from a real target."""

import shlex
import subprocess

import pytest

pytestmark = pytest.mark.django_db
BASE = "/api/client/v1/access-sessions"


def ask(command: str) -> subprocess.CompletedProcess[str]:
    query = f"{command} -Atc {shlex.quote('SELECT current_user')}"
    return subprocess.run(["sh", "-c", query], capture_output=True, text=True, check=False)


def test_the_command_connects_once_and_a_reset_makes_a_new_one(api_of, real_flow):
    grant = real_flow.active_grant()
    client = api_of(real_flow.requester)
    first = client.get(f"{BASE}/{grant.pk}/access-details").json()
    assert ask(first["cli"]).stdout.strip() == first["json"]["username"]
    assert "cli" not in client.get(f"{BASE}/{grant.pk}/access-details").json()
    assert client.post(f"{BASE}/{grant.pk}/reset-credentials").status_code == 200
    assert ask(first["cli"]).returncode != 0
    assert client.get(f"{BASE}/{grant.pk}").json()["credentials"]["status"] == "new"
    second = client.get(f"{BASE}/{grant.pk}/access-details").json()
    assert ask(second["cli"]).returncode == 0
    assert client.get(f"{BASE}/{grant.pk}").json()["credentials"]["status"] == "consumed"
