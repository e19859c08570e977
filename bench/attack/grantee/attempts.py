"""One tactic of one grantee, with an accomplice: what they do before the end, and try after it."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import errors, pq

from apono_portal.demo.postgres_server import PostgresServer
from bench.attack.grantee.tactics import ACCOMPLICE, CHANGED_PASSWORD, DATA, Tactic
from bench.chaos.judge import Credential

if TYPE_CHECKING:
    from requests_app.models import Grant

ACCOMPLICE_PASSWORD = "password-of-an-accomplice"
Session = psycopg.Connection[Any]


@dataclass
class Attempt:
    tag: str
    tactic: Tactic
    grant: "Grant"
    credential: Credential
    server: PostgresServer
    version: int
    sessions: list[Session] = field(default_factory=list)  # of the login
    sockets: list[socket.socket] = field(default_factory=list)
    finish_sign_in: Callable[[], bool] | None = None
    _held: list[Session] = field(default_factory=list)
    _accomplice: Session | None = None
    _stopping: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    @property
    def accomplice(self) -> str:
        return f"{self.tag}_accomplice"

    @property
    def address(self) -> dict[str, Any]:
        own = {"user": self.credential.role, "password": self.credential.password}
        return {**self.server.conninfo(self.credential.database), **own, "connect_timeout": 5}

    def sign_in(self, **changes: Any) -> Session:
        return psycopg.connect(**(self.address | changes), autocommit=True, prepare_threshold=None)

    def sign_in_accomplice(self, **changes: Any) -> Session:
        return self.sign_in(user=self.accomplice, password=ACCOMPLICE_PASSWORD, **changes)

    def hold(self, session: Session) -> None:
        """Keep a session open that is judged by the catalogs alone."""
        self._held.append(session)

    def begin(self) -> str:
        """Do what the tactic says. Return how the server's answers differ from the expected ones."""
        try:
            if self.tactic.act:
                self.tactic.act(self)
                return ""
            session = self.sign_in()
            self.sessions.append(session)
            if self.tactic.repeats:
                self._start(self._repeat)
                return ""
            return self._run(session)
        except psycopg.Error as error:
            return str(error)

    def _run(self, session: Session) -> str:
        is_refused = self.version in self.tactic.refused
        *first, last = self._statements() or [("", "SELECT 1")]
        for who, statement in first:
            self._session_of(who, session).execute(statement.encode())
        who, statement = last
        if self.tactic.runs:
            self.sessions.remove(session)
            self.hold(session)
            self._start(lambda: session.execute(statement.encode()))
            return ""
        try:
            self._session_of(who, session).execute(statement.encode())
        except psycopg.Error as error:
            is_expected = is_refused and not isinstance(error, errors.SyntaxError)
            return "" if is_expected else str(error)
        return f"The server did not refuse {statement}" if is_refused else ""

    def _session_of(self, who: str, session: Session) -> Session:
        if not who:
            return session
        self._accomplice = self._accomplice or self.sign_in_accomplice()
        return self._accomplice

    def _statements(self) -> list[tuple[str, str]]:
        names = {
            "login": self.credential.role, "password": self.credential.password,
            "capability": self.tactic.capability, "accomplice": self.accomplice, "tag": self.tag,
            "port": self.server.port,
        }  # fmt: skip
        lines = [text.format(**names) for text in self.tactic.sql]
        return [
            (ACCOMPLICE, line.removeprefix(ACCOMPLICE))
            if line.startswith(ACCOMPLICE)
            else ("", line)
            for line in lines
        ]

    def _start(self, target: Callable[[], object]) -> None:
        def run() -> None:
            with suppress(psycopg.Error):
                target()

        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _repeat(self) -> None:
        """Sign in with any password, do everything, keep the session, again."""
        while not self._stopping.wait(0.05):
            for password in (self.credential.password, CHANGED_PASSWORD):
                with suppress(psycopg.Error):
                    session = self.sign_in(password=password)
                    self.hold(session)
                    for _, statement in self._statements():
                        session.execute(statement.encode())

    # After the end

    def usable(self) -> Iterator[str]:
        """Yield what still works of the login: sessions and sign-ins."""
        for session in self.sessions:
            if _rows(session, "SELECT 1"):
                yield "an open session"
        for password in (self.credential.password, CHANGED_PASSWORD):
            with suppress(psycopg.OperationalError):
                self.sign_in(password=password).close()
                yield "a sign-in"
        if self.finish_sign_in and self.finish_sign_in():
            yield "a sign-in that had begun before"

    def read(self) -> Iterator[str]:
        """Yield what the accomplice reads, in the open session and in a new one."""
        queries = [DATA, self.tactic.reads.format(tag=self.tag)] if self.tactic.reads else [DATA]
        try:
            session = self.sign_in_accomplice()
        except psycopg.OperationalError:  # every connection is taken
            return
        with session:
            readers = [session]
            if (
                self._accomplice
                and self._accomplice.info.transaction_status == pq.TransactionStatus.IDLE
            ):
                readers.append(self._accomplice)
            for reader in readers:
                for query in queries:
                    yield from _rows(reader, query)

    def close_sockets(self) -> None:
        for one in self.sockets:
            one.close()

    def stop(self) -> None:
        """Let go of everything."""
        self._stopping.set()
        self.close_sockets()
        for session in [*self.sessions, *self._held, self._accomplice]:
            with suppress(psycopg.Error):
                if session is not None:
                    session.close()
        for thread in self._threads:
            thread.join(10)


def _rows(session: Session, query: str) -> list[str]:
    try:
        return [str(row[0]) for row in session.execute(query.encode())]
    except psycopg.Error:
        return []
