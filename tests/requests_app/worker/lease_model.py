"""A model of leases and fencing: one grant, its login, two workers, and everything in any order.

Each action below is one step between two boundaries of the code that it is named after. A process may
be suspended at every boundary for any time, or for ever, as when it is killed: others go on meanwhile.
Time is counted in deadlines: 0 before the first, 1 past it, 2 past the one of the extension. A lease may
run out at any moment.

The code: requests_app/grants/leases.py, grants/activation.py, grants/proof.py, grants/extension.py,
grants/credentials.py, worker/steps.py, worker/deadline_watchdog.py, and accessflows/connectors/postgresql.
"""

from collections.abc import Iterator
from typing import NamedTuple

WORKERS = (0, 1)
FIRST, EXTENDED = 1, 2  # deadlines
MAX_LOGINS = 2  # made under the grant's name, one after another


class Login(NamedTuple):
    """The role on the target: what its marker says, and until when it may sign in. 0: it is disabled."""

    oid: int
    marker: int
    valid_until: int
    has_password: bool = False


class Process(NamedTuple):
    """A worker, or the web process: what it does next, and what it read before."""

    step: str = ""
    deadline: int = 0
    oid: int = 0


IDLE = Process()


class State(NamedTuple):
    now: int = 0
    state: str = "activating"
    deadline: int = FIRST
    oid: int = 0  # of the login, once known to the portal
    lease_by: int | None = None
    is_leased: bool = False
    has_ended: bool = False
    login: Login | None = None
    has_session: bool = False
    logins: int = 0  # made so far
    workers: tuple[Process, ...] = (IDLE, IDLE)
    watchdog: Process = IDLE  # with the deadline and OID that it has cached
    extension: Process = IDLE
    reveal: Process = IDLE

    @property
    def is_usable(self) -> bool:
        login = self.login
        can_sign_in = login and login.has_password and self.now < login.valid_until
        return self.has_session or bool(can_sign_in)


class Model:
    """The transitions, without the rules named in ``broken``."""

    def __init__(self, *broken: str) -> None:
        self._broken = broken

    def holds(self, rule: str, condition: bool) -> bool:
        return condition or rule in self._broken

    def successors(self, s: State) -> Iterator[tuple[str, State]]:
        if s.now < EXTENDED:
            yield "clock", s._replace(now=s.now + 1)
        if s.is_leased:
            yield "lease runs out", s._replace(is_leased=False)
        if s.state == "active" and s.deadline <= s.now:
            yield "expire_due", _revoke(s)
        if s.state in {"activating", "active"}:
            yield "revoke_access", _revoke(s)
        if s.is_usable and not s.has_session:
            yield "sign in", s._replace(has_session=True)
        if s.state == "removed" and s.login and "scan removes late logins" not in self._broken:
            yield "scan_target", s._replace(login=None)
        if s.state == "contained" and s.login and s.login.oid != s.oid:
            yield "dropped by hand", s._replace(login=None)  # docs/endings.md, Known gaps
        yield from self.extend(s)
        yield from self.reveal(s)
        yield from self.watchdog(s)
        for worker in WORKERS:
            for name, after in self.work(s, worker):
                yield f"worker {worker}: {name}", after

    # --- Workers ----------------------------------------------------------------------------------
    def work(self, s: State, worker: int) -> Iterator[tuple[str, State]]:
        process, done = s.workers[worker], _with(s, worker, IDLE)
        if process.step:
            yield process.step, getattr(self, process.step)(s, worker, process, done)
        elif not s.is_leased and s.state in {"activating", "revoking", "contained"}:
            first = {"activating": "confirm_activation", "contained": "renew"}
            step = first.get(s.state, "contain_many" if s.oid else "locate")
            claimed = _with(s, worker, Process(step, s.deadline, s.oid))
            yield "claim", claimed._replace(lease_by=worker, is_leased=True)

    def confirm_activation(self, s: State, worker: int, p: Process, done: State) -> State:
        if s.state != "activating":
            return _release(done, worker)
        return _with(s, worker, p._replace(step="activate"))

    def activate(self, s: State, worker: int, p: Process, done: State) -> State:
        """The connector's `activate`: creates the login, or adopts it and shortens its deadline."""
        login = s.login
        if login is None and p.deadline > s.now and s.logins < MAX_LOGINS:
            login = Login(s.logins + 1, p.deadline, p.deadline)
            s = s._replace(login=login, logins=s.logins + 1)
            return _with(s, worker, p._replace(step="record_activation", oid=s.logins))
        if login is None or login.valid_until <= s.now or p.deadline <= s.now:
            return self.fail_activation(s, worker, done)
        if not self.holds("adopted login keeps its extension", login.marker <= p.deadline):
            return self.fail_activation(s, worker, done)
        s = s._replace(login=login._replace(valid_until=min(login.valid_until, p.deadline)))
        return _with(s, worker, p._replace(step="record_activation", oid=login.oid))

    def fail_activation(self, s: State, worker: int, done: State) -> State:
        done = _release(done, worker)
        return _revoke(done) if s.state == "activating" else done

    def record_activation(self, s: State, worker: int, p: Process, done: State) -> State:
        done = done._replace(oid=p.oid)
        is_current = s.state == "activating" and s.deadline > s.now
        is_current = self.holds("only what is activating becomes active", is_current)
        if is_current and s.lease_by == worker:
            return _release(done._replace(state="active"), worker)
        is_late = s.state == "activating" and s.deadline <= s.now
        if is_late or (s.state == "removed" and "late login is removed" not in self._broken):
            done = _revoke(done)
        return _release(done, worker)

    def locate(self, s: State, worker: int, p: Process, done: State) -> State:
        if s.login is None:
            return _with(s, worker, p._replace(step="record_never_created"))
        known = s._replace(oid=s.login.oid)
        return _with(known, worker, p._replace(step="contain_many", oid=s.login.oid))

    def contain_many(self, s: State, worker: int, p: Process, done: State) -> State:
        return _with(_contain(s, p.oid), worker, p._replace(step="record_containment"))

    def record_containment(self, s: State, worker: int, p: Process, done: State) -> State:
        return _free(done._replace(state="contained")) if s.state == "revoking" else done

    def renew(self, s: State, worker: int, p: Process, done: State) -> State:
        if s.lease_by != worker:
            return done
        return _with(s._replace(is_leased=True), worker, p._replace(step="clean"))

    def clean(self, s: State, worker: int, p: Process, done: State) -> State:
        is_ours = s.login is not None and s.login.oid == p.oid
        s = s._replace(login=None if is_ours else s.login)
        return _with(s, worker, p._replace(step="prove_many"))

    def prove_many(self, s: State, worker: int, p: Process, done: State) -> State:
        if s.login is not None or s.has_session:
            return _release(done, worker)
        return _with(s, worker, p._replace(step="record_removals"))

    def record_removals(self, s: State, worker: int, p: Process, done: State) -> State:
        is_proven = self.holds("proof is of the login that is known", s.oid == p.oid)
        if s.lease_by == worker and s.state in {"revoking", "contained"} and is_proven:
            return _free(done._replace(state="removed"))
        return _release(done, worker)

    record_never_created = record_removals

    # --- The watchdog, which does without the portal's database ------------------------------------
    def watchdog(self, s: State) -> Iterator[tuple[str, State]]:
        p = s.watchdog
        if p.step == "refresh" and s.oid and s.state in {"active", "revoking"}:
            yield "refresh", s._replace(watchdog=Process("check", s.deadline, s.oid))
        elif p.step == "contain_many":
            yield "watchdog: contain_many", _contain(s, p.oid)._replace(watchdog=IDLE)
        elif p.step == "check" and p.deadline <= s.now:
            is_extended = s.login is not None and s.login.marker > p.deadline
            if self.holds("watchdog asks the target for a later deadline", not is_extended):
                overdue = s._replace(watchdog=p._replace(step="contain_many"))
                yield "watchdog: extended_on_target", overdue

    # --- The requester -----------------------------------------------------------------------------
    def extend(self, s: State) -> Iterator[tuple[str, State]]:
        """The target first, then the portal."""
        step, login = s.extension.step, s.login
        failed, may_extend = s._replace(extension=IDLE), s.state == "active" and s.now < FIRST
        if step == "request" and may_extend:
            first = "extend"
            if "extension moves the target first" in self._broken:
                first = "confirm"
            yield "extend_access", s._replace(extension=Process(first))
        elif step == "extend":
            is_open = login is not None and login.oid == s.oid and login.valid_until > 0
            if login and self.holds("disabled login is not extended", is_open):
                extended = login._replace(marker=EXTENDED, valid_until=EXTENDED)
                yield "extend", s._replace(login=extended, extension=Process("confirm"))
            else:
                yield "extend", failed
        elif step == "confirm":
            in_time = s.state == "active" and s.deadline == FIRST
            in_time = in_time and self.holds("extension is confirmed in time", s.now < FIRST)
            yield "confirm", failed._replace(deadline=EXTENDED) if in_time else failed

    def reveal(self, s: State) -> Iterator[tuple[str, State]]:
        login, done = s.login, s._replace(reveal=IDLE)
        if s.reveal.step == "check" and s.state == "active" and s.now < s.deadline:
            yield "reveal_credential", s._replace(reveal=Process("issue", s.deadline, s.oid))
        elif s.reveal.step != "issue" or login is None or login.oid != s.reveal.oid:
            return
        elif self.holds("disabled login gets no password", s.now < login.valid_until):
            until = login.valid_until or FIRST
            issued = login._replace(has_password=True, valid_until=until)
            yield "issue_credential", done._replace(login=issued)


def _with(s: State, worker: int, process: Process) -> State:
    return s._replace(
        workers=tuple(process if n == worker else other for n, other in enumerate(s.workers))
    )


def _free(s: State) -> State:
    return s._replace(lease_by=None, is_leased=False)


def _release(s: State, worker: int) -> State:
    return _free(s) if s.lease_by == worker else s


def _contain(s: State, oid: int) -> State:
    if s.login is None or s.login.oid != oid:
        return s
    disabled = s.login._replace(valid_until=0, has_password=False)
    return s._replace(login=disabled, has_session=False)


def _revoke(s: State) -> State:
    return s._replace(state="revoking", has_ended=True)


_ACTIVE = State(
    state="active",
    oid=1,
    login=Login(1, FIRST, FIRST),
    logins=MAX_LOGINS,
    # Suspended right before its call to the target; the other one activated the grant meanwhile.
    workers=(Process("activate", FIRST), IDLE),
    extension=Process("request"),
)
# What goes on beside the workers. All at once would be too many states for a test.
SCENARIOS = {
    "credential": State(reveal=Process("check")),
    "extension and credential": _ACTIVE._replace(reveal=Process("check")),
    "extension and watchdog": _ACTIVE._replace(watchdog=Process("refresh")),
}


def why_wrong(s: State) -> str:
    """Return what must not be in this state, or ""."""
    login, late = s.login, ("activate", "record_activation")
    if s.state in {"contained", "removed"} and s.is_usable:
        return "access outlives its end"
    is_cut = login is None or login.valid_until < s.deadline
    if s.state == "active" and s.now < s.deadline and is_cut:
        return "access is cut before its end"
    if s.state == "active" and s.has_ended:
        return "what ended was activated"
    if s.state == "removed" and login and not any(p.step in late for p in s.workers):
        return "a login is left behind a proof"
    return ""
