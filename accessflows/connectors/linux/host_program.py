#!/usr/bin/python3 -I
"""Accounts of grants on this host: the only program that the portal's broker can run here, as root.

It reads requests from standard input, one JSON object per line, and answers each with one line. It needs
Python 3.9 and nothing else. What it may give is in permissions.conf, which only this host's root changes.

It touches no account but those it made: their names, user IDs and files under STATE agree.
"""

from __future__ import annotations

import configparser
import fcntl
import grp
import json
import os
import platform
import pwd
import re
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

CONFIG = Path("/etc/apono-portal")
STATE = Path("/var/lib/apono-portal")
SUDOERS = Path("/etc/sudoers.d")
GROUP = "apono_grants"
FIRST_UID, LAST_UID = 70000, 99999  # below those of containers (subuid), above systemd's own
PREFIX = "jit_"
NAME = re.compile(r"jit_[a-z2-7]{26}")
WORD = re.compile(r"[A-Za-z0-9_.:@\[\]-]{1,100}")
MAX_LINE = 200_000
IDLE_SECONDS = 120
KILL_SECONDS = 5.0
SCAN_SECONDS = 3.0
MAX_LEFTOVERS = 200
SEARCHED = ("/tmp", "/var/tmp", "/dev/shm", "/var/spool", "/home", "/srv", "/opt")  # noqa: S108
CRONTABS = ("/var/spool/cron/crontabs", "/var/spool/cron/tabs", "/var/spool/cron")
AT_JOBS = ("/var/spool/cron/atjobs", "/var/spool/at", "/var/spool/atjobs")
LINGER = Path("/var/lib/systemd/linger")
FAILURES = (OSError, ValueError, LookupError, TypeError, RecursionError, subprocess.SubprocessError)
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}


Request = dict[str, Any]
Record = dict[str, Any]


class Refused(Exception):
    """A request that is not fulfilled. The portal knows a sentence for each code."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code)
        self.code, self.detail = code, detail


# Requests ---------------------------------------------------------------------------------------------


def main() -> None:
    for folder, mode in ((STATE, 0o755), (STATE / "keys", 0o755), (STATE / "accounts", 0o700)):
        folder.mkdir(mode=mode, exist_ok=True)
    signal.alarm(IDLE_SECONDS)
    for line in iter(lambda: sys.stdin.buffer.readline(MAX_LINE + 1), b""):
        signal.alarm(0)
        sys.stdout.write(json.dumps(answer(line)) + "\n")
        sys.stdout.flush()
        if len(line) > MAX_LINE:
            return
        signal.alarm(IDLE_SECONDS)


def answer(line: bytes) -> dict[str, object]:
    """Return the answer to one request. What goes wrong is part of it."""
    try:
        request = json.loads(line) if len(line) <= MAX_LINE else None
        if not isinstance(request, dict) or request.get("verb") not in VERBS:
            raise Refused("invalid")
        return {"ok": True, **VERBS[request["verb"]](request)}
    except Refused as refused:
        return {"ok": False, "code": refused.code, "detail": refused.detail}
    except FAILURES as error:
        return {"ok": False, "code": "failed", "detail": type(error).__name__}


def text_of(request: Request, key: str, pattern: re.Pattern[str]) -> str:
    value = request.get(key)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise Refused("invalid", key)
    return value


def deadline_of(request: Request) -> float:
    value = request.get("deadline")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 2**33:
        raise Refused("invalid", "deadline")
    return float(value)


def names_of(request: Request) -> list[str]:
    names = request.get("names")
    if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
        raise Refused("invalid", "names")
    if not all(NAME.fullmatch(one) for one in names):
        raise Refused("invalid", "names")
    return names


def grants_of(request: Request) -> list[tuple[str, int]]:
    """Return the names and user IDs of a request, each pair checked."""
    grants = request.get("grants")
    if not isinstance(grants, list) or not grants:
        raise Refused("invalid", "grants")
    for one in grants:
        if not isinstance(one, list) or len(one) != 2 or not isinstance(one[0], str):
            raise Refused("invalid", "grants")
        check_uid(one[1])
        if not NAME.fullmatch(one[0]):
            raise Refused("invalid", "grants")
    return [(name, uid) for name, uid in grants]


def check_uid(uid: object) -> None:
    """Refuse every user ID that is not one of grants: root's and people's above all."""
    if isinstance(uid, bool) or not isinstance(uid, int) or not FIRST_UID <= uid <= LAST_UID:
        raise Refused("invalid", "uid")


# State ------------------------------------------------------------------------------------------------


def record_path(name: str) -> Path:
    return STATE / "accounts" / f"{name}.json"


def keys_path(name: str) -> Path:
    return STATE / "keys" / name


def read_record(name: str) -> Record | None:
    """Return what this program knows of an account it made, or None."""
    try:
        record: Record = json.loads(record_path(name).read_text())
    except FileNotFoundError:
        return None
    check_uid(record["uid"])
    return record


def write(path: Path, text: str, mode: int = 0o600) -> None:
    """Write a file in one step that survives a crash of the host."""
    new = path.with_name(f".{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    new.replace(path)
    sync(path.parent)


def remove(path: Path) -> None:
    with suppress(FileNotFoundError):
        path.unlink()
        sync(path.parent)


def sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(descriptor)
    os.close(descriptor)


@contextmanager
def locked(name: str, seconds: float = 8.0) -> Iterator[None]:
    """Let one program at a time change an account. Some accounts share a lock, so that few files stay."""
    give_up_at = time.monotonic() + seconds
    with (STATE / "accounts" / f".{name.removeprefix(PREFIX)[:2]}.lock").open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > give_up_at:
                    raise Refused("busy") from None
                time.sleep(0.02)
        yield


def uid_of(name: str) -> int | None:
    with suppress(KeyError):
        return pwd.getpwnam(name).pw_uid
    return None


def owner_of(uid: int) -> str | None:
    with suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return None


def groups_of(name: str) -> list[str]:
    return sorted(one.gr_name for one in grp.getgrall() if name in one.gr_mem)


def check_own(name: str, uid: int, portal_id: str) -> Record | None:
    """Return the record of a grant's account. Refuse what is not that account."""
    record, owner, current = read_record(name), owner_of(uid), uid_of(name)
    if owner not in (None, name) or current not in (None, uid):
        raise Refused("stranger")
    if record is not None and (record["uid"], record["portal_id"]) != (uid, portal_id):
        raise Refused("stranger")
    return record


def active_record(name: str, uid: int, portal_id: str) -> Record:
    record = check_own(name, uid, portal_id)
    if record is None or record["contained"] or uid_of(name) is None:
        raise Refused("revoked")
    if record["deadline"] <= time.time():
        raise Refused("expired")
    return record


def permissions() -> dict[str, Record]:
    """Return what can be given, by name, from permissions.conf."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string((CONFIG / "permissions.conf").read_text())
    except (OSError, configparser.Error):
        raise Refused("config", "permissions.conf") from None
    return {
        name: {
            "groups": [one for one in re.split(r"[,\s]+", section.get("groups", "")) if one],
            "sudo": " ".join(section.get("sudo", "").split()),
        }
        for name, section in parser.items()
        if name != "DEFAULT" and re.fullmatch(r"[A-Za-z0-9_.-]{1,60}", name)
    }


def run(*command: str, may_fail: bool = False) -> int:
    """Run a program of the system, for ten seconds at most, and return its exit code."""
    try:
        done = subprocess.run(  # noqa: S603  programs of the system
            command, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, timeout=10
        )
        code = done.returncode
    except (OSError, subprocess.SubprocessError):  # for example no room for a process
        code = -1
    if code and not may_fail:
        raise Refused("failed", f"{command[0]} {code}")
    return code


# Verbs that give --------------------------------------------------------------------------------------


def hello(request: Request) -> dict[str, object]:
    """Say which host this is and what it can give."""
    offered = permissions()
    known = {one.gr_name for one in grp.getgrall()}
    return {
        "server_id": (CONFIG / "server-id").read_text().strip(),
        "now": time.time(),
        "version": system_name(),
        "ca": (CONFIG / "ca.pub").read_text().strip(),
        "has_group": GROUP in known,
        "is_root": os.geteuid() == 0,
        "permissions": [
            {
                "name": name,
                **one,
                "missing": [group for group in one["groups"] if group not in known],
            }
            for name, one in sorted(offered.items())
        ],
    }


def system_name() -> str:
    with suppress(OSError):
        for line in Path("/etc/os-release").read_text().splitlines():
            if line.startswith("PRETTY_NAME="):
                return line.partition("=")[2].strip('"')[:40]
    return platform.release()[:40]


def create(request: Request) -> dict[str, object]:
    """Make an account that nobody can sign in with yet, or adopt that of an earlier attempt."""
    name, deadline = text_of(request, "name", NAME), deadline_of(request)
    portal_id = text_of(request, "portal_id", WORD)
    permission = permissions().get(text_of(request, "permission", WORD))
    if permission is None:
        raise Refused("no_permission")
    with locked(name):
        record = read_record(name)
        if record is None and uid_of(name) is not None:
            raise Refused("stranger")
        if record is not None:
            check_adoptable(name, record, portal_id, deadline)
        else:
            record = {
                "portal_id": portal_id,
                "deadline": deadline,
                "permission": request["permission"],
                "contained": False,
                **permission,
            }
        existed = uid_of(name) is not None
        if not existed:
            record["uid"] = add_account(name, record)
        write_sudo_rule(name, record)
        return {"uid": record["uid"], "existed": existed}


def check_adoptable(name: str, record: Record, portal_id: str, deadline: float) -> None:
    check_own(name, record["uid"], portal_id)
    if record["contained"]:
        raise Refused("revoked")
    if record["deadline"] > deadline:
        raise Refused("extended")


def add_account(name: str, record: Record) -> int:
    """Write down the account, then create it: a crash in between leaves no account without a record."""
    with locked("uids"):
        uid = record.get("uid") or free_uid()
        write(record_path(name), json.dumps({**record, "uid": uid}))
        groups = ",".join([GROUP, *record["groups"]])
        shell = "/bin/bash" if Path("/bin/bash").exists() else "/bin/sh"
        day = time.strftime("%Y-%m-%d", time.gmtime(record["deadline"] + 86400))
        options = ["--uid", str(uid), "--user-group", "--groups", groups, "--shell", shell]
        options += ["--create-home", "--home-dir", f"/home/{name}", "--expiredate", day]
        comment = f"grant of {record['portal_id']}".replace(":", " ")
        options += ["--comment", comment, "--password", "*"]
        for limit in ("SUB_UID_COUNT=0", "SUB_GID_COUNT=0", "UMASK=077"):
            options += [
                "--key",
                limit,
            ]  # no subordinate IDs: their processes would not be the account's
        try:
            run("useradd", *options, name)
        except Refused:
            if uid_of(name) is None:
                remove(record_path(name))
            raise
    return uid


def free_uid() -> int:
    """Return a user ID that no account of this host has had for long: files may still carry it."""
    path = STATE / "next-uid"
    following = int(path.read_text()) if path.exists() else FIRST_UID
    for offset in range(LAST_UID - FIRST_UID + 1):
        uid = FIRST_UID + (following - FIRST_UID + offset) % (LAST_UID - FIRST_UID + 1)
        if owner_of(uid) is None and not processes_of({uid: ""}):
            write(path, str(uid + 1))
            return uid
    raise Refused("uids")


def write_sudo_rule(name: str, record: Record) -> None:
    """Write the rule with its end, which sudo itself keeps, once visudo accepts it."""
    if not record["sudo"]:
        return
    end = time.strftime("%Y%m%d%H%M%SZ", time.gmtime(record["deadline"]))
    checked = STATE / "accounts" / f".{name}.sudo"
    write(checked, f"{name} ALL=(ALL:ALL) NOTAFTER={end} NOPASSWD: {record['sudo']}\n", 0o440)
    try:
        run("visudo", "--check", "--strict", f"--file={checked}")
        write(SUDOERS / f"apono_{name}", checked.read_text(), 0o440)
    finally:
        remove(checked)


def issue(request: Request) -> dict[str, object]:
    """Accept certificates for one principal, made for this credential alone, until the end."""
    [(name, uid)] = grants_of(request)
    principal = text_of(request, "principal", WORD)
    with locked(name):
        record = active_record(name, uid, text_of(request, "portal_id", WORD))
        record["principal"] = principal
        write(record_path(name), json.dumps(record))
        write_keys(name, record)
    if request.get("terminate"):
        end_processes({uid: name})
    return {}


def write_keys(name: str, record: Record) -> None:
    """Write the line that sshd reads: the portal's key as authority, a principal, and the end."""
    end = time.strftime("%Y%m%d%H%M%S", time.localtime(record["deadline"]))
    authority = (CONFIG / "ca.pub").read_text().strip()
    options = f'cert-authority,principals="{record["principal"]}",expiry-time="{end}"'
    write(keys_path(name), f"{options} {authority}\n", 0o644)


def extend(request: Request) -> dict[str, object]:
    """Postpone the end everywhere it is kept. Never shortens it and revives nothing."""
    [(name, uid)] = grants_of(request)
    deadline = deadline_of(request)
    with locked(name):
        record = active_record(name, uid, text_of(request, "portal_id", WORD))
        since = request.get("since")
        if isinstance(since, (int, float)) and record["deadline"] < int(since):
            raise Refused("changed")
        record["deadline"] = max(record["deadline"], deadline)
        day = time.strftime("%Y-%m-%d", time.gmtime(record["deadline"] + 86400))
        run("usermod", "--expiredate", day, name)
        write(record_path(name), json.dumps(record))
        write_sudo_rule(name, record)
        if keys_path(name).exists():
            write_keys(name, record)
    return {"deadline": record["deadline"]}


# Verbs that end ---------------------------------------------------------------------------------------


def contain(request: Request) -> dict[str, object]:
    """Stop all use: sign-in first, then every process, then what could start new ones."""
    portal_id = text_of(request, "portal_id", WORD)
    outcomes: dict[str, dict[str, object]] = {}
    present: dict[int, str] = {}
    for name, uid in grants_of(request):
        try:
            is_due = disable(name, uid, portal_id, only_expired=bool(request.get("only_expired")))
        except Refused as refused:
            outcomes[name] = {"code": refused.code}
            continue
        if is_due:
            present[uid] = name
    sessions, left = end_processes(present)
    for uid, name in present.items():
        absent = uid_of(name) is None
        if not absent and run("usermod", "--lock", "--expiredate", "1", name, may_fail=True):
            left[uid] = left.get(uid, 0) + 1
        outcomes[name] = {"sessions": sessions[uid], "left": left.get(uid, 0), "absent": absent}
    return {"outcomes": outcomes}


def disable(name: str, uid: int, portal_id: str, *, only_expired: bool) -> bool:
    """Take sign-in, sudo and scheduled jobs. Returns False if the end has not come yet."""
    with locked(name):
        record = check_own(name, uid, portal_id)
        if only_expired and (record is None or record["deadline"] > time.time()):
            return False
        remove(keys_path(name))
        remove(SUDOERS / f"apono_{name}")
        if record is not None and not record["contained"]:
            write(record_path(name), json.dumps({**record, "contained": True}))
    remove_jobs(name, uid)
    return True


def remove_jobs(name: str, uid: int) -> None:
    """Remove crontabs, at jobs and lingering: each would start processes of a user that left."""
    for folder in CRONTABS:
        remove(Path(folder, name))
    remove(LINGER / name)
    for folder in AT_JOBS:
        for entry in entries_of(folder):
            if entry.is_file(follow_symlinks=False) and is_owned(entry, uid):
                remove(Path(entry.path))


def end_processes(names: dict[int, str]) -> tuple[dict[int, int], dict[int, int]]:
    """Kill all processes of these users until none is left.

    Returns the numbers of sessions there were and of processes that are left, by user ID.
    """
    for uid in names:
        check_uid(uid)
        if owner_of(uid) not in (None, names[uid]):
            raise Refused("stranger")
    running = processes_of(names)
    sessions = {uid: sum(is_session(pid, uid) for pid in running.get(uid, ())) for uid in names}
    give_up_at, quiet = time.monotonic() + KILL_SECONDS, 0
    while names and quiet < 2 and time.monotonic() < give_up_at:
        if not running:
            quiet += 1
            time.sleep(0.02)  # a session that had signed in may be starting
        else:
            quiet = 0
            for uid in running:
                stop_cgroup(uid)
                kill_as(uid)
            for number in (signal.SIGSTOP, signal.SIGKILL):
                send_signal(number, names)
        for uid, name in names.items():
            remove_jobs(name, uid)
        running = processes_of(names)
    return sessions, {uid: len(pids) for uid, pids in running.items()}


def processes_of(names: dict[int, str]) -> dict[int, list[int]]:
    """Return the processes of these users: theirs, what they run through sudo, and sign-ins under way."""
    running: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (uid := user_of_process(int(entry), names)) is not None:
            running.setdefault(uid, []).append(int(entry))
    return running


def user_of_process(pid: int, names: dict[int, str]) -> int | None:
    """Return which of these users a process belongs to. Never this program, its parents or init."""
    if pid in (1, os.getpid(), os.getppid()):
        return None
    try:
        status = Path(f"/proc/{pid}/status").read_text(errors="replace")
        fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        if fields["State"].split()[0] in "ZX":
            return None  # it runs no longer
        marks = {int(number) for number in fields["Uid"].split()}
        login = read_process(pid, "loginuid")
        marks |= {int(login)} if login.isdigit() else set()
        marks |= sudo_user_of(pid)
        title = read_process(pid, "cmdline") if fields["Name"].strip().startswith("sshd") else ""
    except (OSError, KeyError, ValueError, IndexError):
        return None
    for uid, name in names.items():
        if uid in marks or (name and re.match(rf"sshd[a-z-]*: {name}[ @]", title)):
            return uid
    return None


def read_process(pid: int, file: str) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/{file}").read_text(errors="replace")
    return ""


def sudo_user_of(pid: int) -> set[int]:
    """Return the user for whom sudo started a process, as its environment says."""
    match = re.search(r"(?:^|\0)SUDO_UID=([0-9]{1,9})\0", read_process(pid, "environ"))
    return {int(match[1])} if match else set()


def is_session(pid: int, uid: int) -> bool:
    """Whether a process is the part of sshd that runs as the user: one for each connection."""
    status = read_process(pid, "status")
    is_users = re.search(rf"^Uid:\t{uid}\t{uid}\t", status, re.MULTILINE) is not None
    return is_users and re.match(r"Name:\tsshd[a-z-]*\n", status) is not None


def stop_cgroup(uid: int) -> None:
    """Kill what systemd keeps for this user, which includes what it runs through sudo."""
    cgroup = Path(f"/sys/fs/cgroup/user.slice/user-{uid}.slice/cgroup.kill")
    if cgroup.exists():
        with suppress(OSError):
            cgroup.write_text("1")
        run("systemctl", "--no-block", "stop", f"user@{uid}.service", may_fail=True)


def kill_as(uid: int) -> None:
    """Kill every process of a user in one call, which no process of theirs can outrun by forking.

    The call is made by a child that became this user for good, and only if it can't signal others.
    """
    check_uid(uid)
    try:
        child = os.fork()
    except OSError:
        return  # no room for a process: the loop kills them one by one
    if child == 0:
        try:
            become(uid)
            if os.getresuid() == (uid, uid, uid) and not can_signal_init():
                os.kill(-1, signal.SIGKILL)
        finally:
            os._exit(0)
    for _ in range(50):
        if os.waitpid(child, os.WNOHANG)[0]:
            return
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)  # stopped by the user
    os.waitpid(child, 0)


def become(uid: int) -> None:
    """Give up root for good."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def can_signal_init() -> bool:
    try:
        os.kill(1, 0)
    except PermissionError:
        return False
    return True


def send_signal(number: int, names: dict[int, str]) -> None:
    """Signal the processes one by one. A number that was reused meanwhile is noticed."""
    for uid, pids in processes_of(names).items():
        for pid in pids:
            with suppress(OSError):
                process = os.pidfd_open(pid)
                try:
                    if user_of_process(pid, {uid: names[uid]}) == uid:
                        signal.pidfd_send_signal(process, number)
                finally:
                    os.close(process)


def delete(request: Request) -> dict[str, object]:
    """Remove a contained account with its home. What it owns elsewhere stays."""
    [(name, uid)] = grants_of(request)
    with locked(name):
        record = check_own(name, uid, text_of(request, "portal_id", WORD))
        is_in_use = keys_path(name).exists() or processes_of({uid: name})
        if is_in_use or (record is not None and not record["contained"]):
            raise Refused("in_use")
        if uid_of(name) is None:
            remove(record_path(name))
            return {"absent": True}
        run("userdel", "--remove", name, may_fail=True)
        if uid_of(name) is not None:
            raise Refused("failed", "userdel")
        remove(SUDOERS / f"apono_{name}")
        remove(record_path(name))
    return {"absent": False}


# Verbs that read --------------------------------------------------------------------------------------


def prove(request: Request) -> dict[str, object]:
    """Report what is left of grants."""
    grants = grants_of(request)
    running = processes_of({uid: name for name, uid in grants})
    return {
        "now": time.time(),
        "accounts": {
            name: {
                "exists": uid_of(name) is not None or record_path(name).exists(),
                "processes": len(running.get(uid, ())),
                "keys": keys_path(name).exists() or (SUDOERS / f"apono_{name}").exists(),
            }
            for name, uid in grants
        },
    }


def list_accounts(request: Request) -> dict[str, object]:
    """List the accounts of a portal, and those of these names whoever made them."""
    portal_id, names = text_of(request, "portal_id", WORD), names_of(request)
    known = {path.stem for path in (STATE / "accounts").glob(f"{PREFIX}*.json")}
    accounts = []
    for name in sorted(known | set(names)):
        uid, record = uid_of(name), read_record(name)
        own = record if record is not None and record["uid"] == uid else None
        is_listed = name in names or (own is not None and own["portal_id"] == portal_id)
        if uid is not None and is_listed:
            accounts.append({"name": name, "uid": uid, **describe(name, own)})
    return {"now": time.time(), "accounts": accounts}


def describe(name: str, record: Record | None) -> dict[str, object]:
    if record is None:
        return {
            "portal_id": "",
            "deadline": None,
            "can_login": True,
            "permission": "",
            "as_made": False,
        }
    made = sorted([GROUP, *record["groups"]])
    return {
        "portal_id": record["portal_id"],
        "deadline": record["deadline"],
        "can_login": keys_path(name).exists(),
        "permission": "" if record["contained"] else record["permission"],
        "as_made": groups_of(name) == made,
    }


def leftovers(request: Request) -> dict[str, object]:
    """List what a user owns outside its home, as far as a short search finds it."""
    [(name, uid)] = grants_of(request)
    check_own(name, uid, text_of(request, "portal_id", WORD))
    items = [["file", path] for path in files_of(uid, Path("/home", name))]
    items += [["shared memory", entry] for entry in shared_memory_of(uid)]
    return {"items": items[:MAX_LEFTOVERS]}


def files_of(uid: int, home: Path) -> Iterator[str]:
    give_up_at = time.monotonic() + SCAN_SECONDS
    folders = deque(SEARCHED)  # those near the top first
    while folders and time.monotonic() < give_up_at:
        for entry in entries_of(folders.popleft()):
            if entry.path == str(home) or entry.path.startswith("/var/spool/mail/"):
                continue
            with suppress(OSError):  # gone meanwhile
                if is_owned(entry, uid):
                    yield os.fsencode(entry.path).decode(errors="replace")
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)


def is_owned(entry: os.DirEntry[str], uid: int) -> bool:
    return entry.stat(follow_symlinks=False).st_uid == uid


def entries_of(folder: str) -> list[os.DirEntry[str]]:
    try:
        return list(os.scandir(folder))
    except OSError:
        return []


def shared_memory_of(uid: int) -> Iterable[str]:
    for kind in ("shm", "sem", "msg"):
        with suppress(OSError):
            header, *rows = Path("/proc/sysvipc", kind).read_text().splitlines()
            column = header.split().index("uid")
            yield from (
                f"{kind} {row.split()[1]}" for row in rows if row.split()[column] == str(uid)
            )


VERBS = {
    "hello": hello,
    "create": create,
    "issue": issue,
    "extend": extend,
    "contain": contain,
    "delete": delete,
    "prove": prove,
    "list": list_accounts,
    "leftovers": leftovers,
}

if __name__ == "__main__":
    main()
