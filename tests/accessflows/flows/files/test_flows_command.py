"""``manage.py flows``: output, exit status and files."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accessflows.models import AccessFlow
from tests.accessflows.flows.files.conftest import minimal

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("hook", "people")]


def run(*arguments) -> tuple[int, str]:
    """Return the exit status and what was printed."""
    out = StringIO()
    try:
        call_command("flows", *map(str, arguments), stdout=out)
    except SystemExit as end:
        return int(str(end.code)), out.getvalue()
    return 0, out.getvalue()


def test_plan_apply_and_export_go_round(tmp_path):
    file, plan = tmp_path / "flows.yaml", tmp_path / "flows.plan"
    file.write_text(minimal())
    status, text = run("plan", file, "--out", plan, "--commit", "4f2a")
    assert status == 2
    assert "+ Deploy (to create)" in text
    assert "1 user can request; not set up MFA: 1." in text
    assert run("apply", plan) == (0, "Applied. Access flows changed: 1.\n")
    status, exported = run("export", "Deploy")
    file.write_text(exported)
    status, text = run("plan", file)
    assert (status, text) == (0, "Nothing changes. Access flows in the file: 1.\n")


def test_a_plan_as_json_marks_weaker_protection(tmp_path):
    file, plan = tmp_path / "flows.yaml", tmp_path / "flows.plan"
    file.write_text(minimal())
    run("plan", file, "--out", plan)
    run("apply", plan)
    file.write_text(minimal(require_mfa="false"))
    status, text = run("plan", file, "--json")
    change = json.loads(text)["changes"][0]
    assert (status, change["actions"]) == (2, ["change"])
    assert change["weakened"] == ["Requests need no MFA."]
    assert "  ! Weaker protection: Requests need no MFA." in run("plan", file)[1]


def test_errors_are_sentences(tmp_path):
    file = tmp_path / "flows.yaml"
    file.write_text(minimal(require_mfa=""))
    with pytest.raises(CommandError, match="Line 4: require_mfa is missing"):
        run("plan", file)
    with pytest.raises(CommandError, match="No such file"):
        run("plan", tmp_path / "nothing.yaml")
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(CommandError, match="not UTF-8"):
        run("plan", file)
    with pytest.raises(CommandError, match="no active admin"):
        run("apply", file, "--admin", "eve@corp.test")
    with pytest.raises(CommandError, match="There is no access flow Nope"):
        run("export", "Nope")
    assert not AccessFlow.objects.exists()
