"""The program that runs as root on hosts, by itself: what it refuses, before it touches anything."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from accessflows.connectors.linux import host_program

NAME = "jit_" + "a" * 26
UID = host_program.FIRST_UID + 5
OTHERS = (0, -1, 1, 999, 1000, 65534, host_program.FIRST_UID - 1, host_program.LAST_UID + 1)
ENDING = ("contain", "delete", "leftovers", "prove", "issue", "extend")


@pytest.fixture(autouse=True)
def _own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders of its own, and no way to signal, run or write outside of them."""

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError(f"It must not do this: {arguments}")

    (tmp_path / "accounts").mkdir()
    (tmp_path / "keys").mkdir()
    for name in ("CONFIG", "STATE", "SUDOERS", "LINGER"):
        monkeypatch.setattr(host_program, name, tmp_path)
    monkeypatch.setattr(host_program, "run", refuse)
    for name in ("kill", "fork", "setresuid"):
        monkeypatch.setattr(f"accessflows.connectors.linux.host_program.os.{name}", refuse)
    monkeypatch.setattr(signal, "pidfd_send_signal", refuse)


def ask(**request: Any) -> dict[str, Any]:
    return host_program.answer(json.dumps(request).encode() + b"\n")


@pytest.mark.parametrize("verb", ENDING)
def test_no_verb_takes_a_user_that_is_not_a_grants(verb: str) -> None:
    for uid in (*OTHERS, True, 70000.5, "70000", None, [UID]):
        answer = ask(verb=verb, grants=[[NAME, uid]], portal_id="p", principal="x", deadline=1)
        assert (answer["ok"], answer["code"]) == (False, "invalid"), uid


@pytest.mark.parametrize("verb", ENDING)
def test_no_verb_takes_a_name_that_is_not_a_grants(verb: str) -> None:
    for name in (
        "root",
        "",
        "jit_",
        NAME + "\n",
        f"{NAME}/../x",
        NAME.upper(),
        "jit_" + "a" * 25 + ";",
        7,
    ):
        answer = ask(verb=verb, grants=[[name, UID]], portal_id="p", principal="x", deadline=1)
        assert (answer["ok"], answer["code"]) == (False, "invalid"), name


@pytest.mark.parametrize(
    "line",
    [b"", b"\n", b"{", b"[]", b"null", b'"contain"', b'{"verb": "main"}', b'{"verb": ["contain"]}', b"\xff\n",
     b'{"verb": "contain", "grants": []}', b"[" * 5000, b"{" + b" " * host_program.MAX_LINE + b"}"],
)  # fmt: skip
def test_bad_input_is_refused(line: bytes) -> None:
    assert host_program.answer(line)["ok"] is False


def test_functions_that_kill_check_for_themselves() -> None:
    for uid in OTHERS:
        with pytest.raises(host_program.Refused):
            host_program.kill_as(uid)
        with pytest.raises(host_program.Refused):
            host_program.end_processes({uid: NAME})


def test_an_account_of_somebody_else_is_not_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user ID is in range, but the system says that it, or the name, is another's."""
    for owner, current in (("alice", None), (None, UID + 1), (NAME, UID + 1)):
        monkeypatch.setattr(host_program, "owner_of", lambda uid, owner=owner: owner)
        monkeypatch.setattr(host_program, "uid_of", lambda name, current=current: current)
        answer = ask(verb="contain", grants=[[NAME, UID]], portal_id="p")
        assert answer == {"ok": True, "outcomes": {NAME: {"code": "stranger"}}}
        assert ask(verb="delete", grants=[[NAME, UID]], portal_id="p")["code"] == "stranger"


def test_an_account_of_another_portal_is_not_touched() -> None:
    record = {"uid": UID, "portal_id": "other", "contained": False, "deadline": 4e9, "groups": []}
    host_program.record_path(NAME).write_text(json.dumps(record))
    answer = ask(verb="contain", grants=[[NAME, UID]], portal_id="p")
    assert answer == {"ok": True, "outcomes": {NAME: {"code": "stranger"}}}


def test_root_and_this_process_belong_to_no_grant() -> None:
    for pid in (1, os.getpid(), os.getppid()):
        assert host_program.user_of_process(pid, {UID: NAME}) is None
    assert host_program.processes_of({UID: NAME}) == {}


def test_what_sudo_started_shows_for_whom() -> None:
    with subprocess.Popen(
        ["/bin/cat"], stdin=subprocess.PIPE, env={"A": "1", "SUDO_UID": str(UID)}
    ) as process:
        assert host_program.processes_of({UID: NAME}) == {UID: [process.pid]}
        assert host_program.user_of_process(process.pid, {UID + 1: NAME}) is None


def test_a_record_with_a_user_id_of_somebody_is_refused() -> None:
    host_program.record_path(NAME).write_text(json.dumps({"uid": 0, "portal_id": "p"}))
    with pytest.raises(host_program.Refused):
        host_program.read_record(NAME)


def test_a_permission_is_what_the_host_says(tmp_path: Path) -> None:
    (tmp_path / "permissions.conf").write_text(
        "[logs]\ngroups = adm, systemd-journal\n\n[bad name]\ngroups = root\n\n[run]\nsudo = /bin/a,\n  /bin/b\n"
    )
    assert host_program.permissions() == {
        "logs": {"groups": ["adm", "systemd-journal"], "sudo": ""},
        "run": {"groups": [], "sudo": "/bin/a, /bin/b"},
    }
    request = {"name": NAME, "portal_id": "p", "deadline": 4e9}
    assert ask(verb="create", permission="root", **request)["code"] == "no_permission"
    (tmp_path / "permissions.conf").write_text("groups = adm\n")
    assert ask(verb="create", permission="logs", **request)["code"] == "config"


def test_scheduled_jobs_and_lingering_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = tmp_path / "jobs"
    jobs.mkdir()
    for name in (NAME, "alice"):
        (jobs / name).touch()
    monkeypatch.setattr(host_program, "CRONTABS", (str(jobs), "/nonexistent"))
    monkeypatch.setattr(host_program, "AT_JOBS", (str(tmp_path / "at"), "/nonexistent"))
    (tmp_path / "at").mkdir()
    (tmp_path / "at" / "a1").touch()
    (tmp_path / NAME).touch()
    host_program.remove_jobs(NAME, os.getuid())
    assert sorted(os.listdir(jobs)) == ["alice"]
    assert os.listdir(tmp_path / "at") == []
    assert not (tmp_path / NAME).exists()
