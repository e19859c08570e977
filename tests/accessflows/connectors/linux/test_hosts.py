"""A real host: grantees that resist the end, the ends that the host keeps itself, and hosts that lie."""

import json
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from accessflows.connectors.errors import TargetMismatch, TargetRefused, TargetUnavailable
from accessflows.connectors.linux import host_program
from accessflows.connectors.linux.keys import broker_key, issue_key, private_text
from accessflows.connectors.linux.settings import LinuxSettings
from accessflows.connectors.protocol import Credential, GrantIdentity, GrantSpec
from accessflows.connectors.registry import connector_for
from tests.fixtures.linux import SECRET, LinuxSubject, close, read_line

linux = connector_for("linux")
PAST = datetime.now(UTC) - timedelta(minutes=1)
RESIST = """
nohup sh -c 'trap "" TERM HUP INT; while :; do sleep 1; done' >/dev/null 2>&1 &
setsid python3 -c '
import os, time
while True:
    if os.fork():
        os._exit(0)
    time.sleep(0.001)
' >/dev/null 2>&1 &
sudo -n /usr/bin/sleep 1000 >/dev/null 2>&1 &
echo mine > /tmp/left-by-$USER
ipcmk --shmem 100 >/dev/null
echo ready
"""


@dataclass
class Active:
    spec: GrantSpec
    identity: GrantIdentity
    credential: Credential

    @property
    def uid(self) -> int:
        return int(self.identity.mark)


@pytest.fixture
def grant(linux_subject: LinuxSubject) -> Callable[[str], Active]:
    def make(permission: str = "shell") -> Active:
        spec = linux_subject.spec(permission=permission, allow_delegation=True)
        identity = linux.activate(linux_subject.target, spec).identity
        credential = linux.issue_credential(linux_subject.target, spec, identity)
        return Active(spec, identity, credential)

    return make


def run_as(subject: LinuxSubject, credential: Credential, command: str) -> str:
    user, key = credential.user, credential.password
    process = subject.host.ssh(user, key, credential.certificate, command)
    try:
        return process.communicate(timeout=20)[0].decode()
    finally:
        close(process)


def wait_for_root_process(active: Active) -> None:
    """Wait until one of the grant's processes runs as root: what sudo started."""
    give_up_at = time.monotonic() + 20
    while time.monotonic() < give_up_at:
        for pid in host_program.processes_of({active.uid: active.identity.name})[active.uid]:
            with suppress(FileNotFoundError):
                folder = Path(f"/proc/{pid}")
                if folder.stat().st_uid == 0 and (folder / "comm").read_text() == "sleep\n":
                    return
        time.sleep(0.05)
    raise AssertionError("sudo started nothing.")


def edit(path: Path, pattern: str, text: str) -> None:
    changed = re.sub(pattern, text, path.read_text())
    assert changed != path.read_text()
    path.chmod(0o644)
    path.write_text(changed)


def test_whatever_resists_is_dead_and_what_is_left_is_listed(
    linux_subject: LinuxSubject, grant: Callable[[str], Active]
) -> None:
    active = grant("operator")
    host, name = linux_subject.host, active.identity.name
    session = host.ssh(name, active.credential.password, active.credential.certificate, "sh")
    left = Path(f"/tmp/left-by-{name}")
    try:
        session.stdin.write(RESIST.encode())  # type: ignore[union-attr]
        session.stdin.flush()  # type: ignore[union-attr]
        assert read_line(session, 20) == b"ready\n"
        wait_for_root_process(active)
        containment = linux.contain(linux_subject.target, active.identity)
        assert containment.sessions_terminated == 1
        assert host_program.processes_of({active.uid: name}) == {}
        file, memory = linux.find_owned_objects(linux_subject.target, active.identity).items
        assert (file.kind, file.name, memory.kind) == ("file", str(left), "shared memory")
        subprocess.run(["ipcrm", "--shmem-id", memory.name.removeprefix("shm ")], check=True)
        linux.clean(linux_subject.target, active.identity)
        assert not Path("/home", name).exists()
        assert linux.prove(linux_subject.target, active.identity).holds
    finally:
        close(session)
        left.unlink(missing_ok=True)


def test_the_host_itself_refuses_sign_in_and_sudo_after_the_end(
    linux_subject: LinuxSubject, grant: Callable[[str], Active]
) -> None:
    active = grant("operator")
    name, state = active.identity.name, linux_subject.host.state
    assert run_as(linux_subject, active.credential, "sudo -n /usr/bin/id -u") == "0\n"
    assert run_as(linux_subject, active.credential, "sudo -n /usr/bin/whoami") == ""
    edit(
        Path("/etc/sudoers.d", f"apono_{name}"), "NOTAFTER=[0-9]+", f"NOTAFTER={PAST:%Y%m%d%H%M%S}"
    )
    Path("/etc/sudoers.d", f"apono_{name}").chmod(0o440)
    assert run_as(linux_subject, active.credential, "sudo -n /usr/bin/id -u; echo in") == "in\n"
    principal = json.loads((state / "accounts" / f"{name}.json").read_text())["principal"]
    expired = issue_key(SECRET, key_id="x", principal=principal, deadline=PAST)
    other = issue_key(SECRET, key_id="x", principal=name, deadline=active.spec.deadline)
    for issued in (expired, other):
        forged = replace(
            active.credential, password=issued.private_key, certificate=issued.certificate
        )
        assert not linux_subject.can_sign_in(forged)
    local = PAST.astimezone()
    edit(state / "keys" / name, 'expiry-time="[0-9]+"', f'expiry-time="{local:%Y%m%d%H%M%S}"')
    assert not linux_subject.can_sign_in(active.credential)


def test_permissions_that_give_root_are_granted_only_knowingly(linux_subject: LinuxSubject) -> None:
    offered = {one.name: one for one in linux.discover(linux_subject.target).permissions}
    assert offered["operator"].delegation
    assert not offered["logs"].delegation
    with pytest.raises(TargetRefused, match="root"):
        linux.activate(linux_subject.target, linux_subject.spec(permission="operator"))


def test_the_broker_can_run_nothing_but_the_program(linux_subject: LinuxSubject) -> None:
    host = linux_subject.host
    process = host.ssh(host.broker, private_text(broker_key(SECRET)), "", "id; cat /etc/shadow")
    answers, _ = process.communicate(b'{"verb": "main"}\nid\n', timeout=20)
    close(process)
    assert [json.loads(line)["ok"] for line in answers.splitlines()] == [False, False]


def test_a_host_with_another_key_is_sent_nothing(
    linux_subject: LinuxSubject, tmp_path: Path
) -> None:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")]
    subprocess.run(command, check=True)
    other = LinuxSettings(host_key=(tmp_path / "key.pub").read_text())
    with pytest.raises(TargetMismatch, match="another key"):
        linux.discover(replace(linux_subject.target, settings=other))
    with pytest.raises(TargetRefused, match="not a public key"):
        linux.discover(replace(linux_subject.target, settings=LinuxSettings(host_key="x")))
    with pytest.raises(TargetRefused, match="accept the broker"):
        linux.discover(replace(linux_subject.target, password="another-secret-of-32-characters-xx"))


@contextmanager
def program(subject: LinuxSubject, script: str) -> Iterator[None]:
    """Replace the host's program for a while."""
    path = subject.host.home / "apono-portal-host"
    genuine = path.read_text()
    path.write_text(f"#!/bin/sh\n{script}\n")
    try:
        yield
    finally:
        path.write_text(genuine)


def test_a_host_that_lies_or_hangs_confirms_nothing(
    linux_subject: LinuxSubject, grant: Callable[[str], Active]
) -> None:
    active, target = grant("shell"), linux_subject.target
    target = replace(
        target, connect_timeout_s=4, statement_timeout_s=1
    )  # no kept connection has this
    identity = active.identity
    hello = json.dumps({"ok": True, "server_id": identity.server_id, "now": 1, "permissions": 7})
    lies = (
        "echo '{\"ok\": true}'; cat",
        f"read a; echo '{hello}'; read a; echo '{{\"ok\": true}}'; cat",
    )
    for lie in lies:
        with program(linux_subject, lie), pytest.raises((TargetRefused, TargetUnavailable)):
            linux.contain(target, identity)
    with program(linux_subject, "sleep 3"), pytest.raises(TargetUnavailable):
        linux.contain(target, identity)


def test_a_kept_connection_ends_access_when_sshd_accepts_no_other(
    linux_subject: LinuxSubject, grant: Callable[[str], Active]
) -> None:
    active = grant("shell")
    session = linux_subject.open_session(active.credential)
    assert session.works()
    linux.keep_connections(linux_subject.target, [])
    server = linux_subject.host.process
    assert server is not None
    server.send_signal(signal.SIGSTOP)  # as if all of its slots were taken
    try:
        assert linux.contain(linux_subject.target, active.identity).sessions_terminated == 1
        assert not session.works()
    finally:
        server.send_signal(signal.SIGCONT)
