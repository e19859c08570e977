"""Eight writers of the audit log beside eight writers of plain rows: nobody waits for another."""

import statistics
import threading
import time
from typing import Any

from psycopg import sql

from bench.speed.ground import Ground
from bench.speed.result import Row
from bench.speed.turns import say

WRITERS = 8
WINDOW_S = 4.0
WINDOWS = 5
COLUMNS = ("at", "event", "actor_id", "actor_label", "target_type", "target_id", "target_label",
           "request_id", "request_label", "address", "user_agent", "metadata")  # fmt: skip
VALUES = ("mfa:verify", 7, "Ada <ada@example.org>", "otp_totp.totpdevice", "7", "Authenticator app",
          None, "", "192.0.2.7", "Mozilla/5.0 Firefox/140.0", '{"outcome": "ok", "scope": "trusted:7"}')  # fmt: skip


def measure(ground: Ground) -> list[Row]:
    """Each writer commits one row at a time, durably, into the log or into a plain copy of it."""
    ground.new_portal("writers")
    with ground.connect("writers") as connection:
        connection.execute("CREATE TABLE plain (LIKE audit_event INCLUDING ALL)")
    rates: dict[str, list[float]] = {"plain": [], "audit_event": []}
    try:
        for number in range(WINDOWS + 1):
            for table, found in rates.items():
                rate = _window(ground, table)
                if number:
                    found.append(rate)
                    say(f"  {table:<12} window {number} of {WINDOWS}  {rate:8,.0f} rows a second")
    finally:
        ground.drop_database("writers")
    plain, audit = (statistics.median(found) for found in rates.values())
    return [
        Row(f"writers: {WRITERS} writers of plain rows", round(plain), "a second"),
        Row(f"writers: {WRITERS} writers of the audit log", round(audit), "a second", round(audit / plain, 2), ">= 0.8"),
    ]  # fmt: skip


def _window(ground: Ground, table: str) -> float:
    names = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
    places = sql.SQL(", ").join([sql.SQL("now()"), *[sql.Placeholder()] * len(VALUES)])
    insert = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(sql.Identifier(table), names, places)
    counts: list[int] = []
    ready = threading.Barrier(WRITERS)

    def write() -> None:
        with ground.connect("writers") as connection:
            ready.wait()
            give_up_at, written = time.monotonic() + WINDOW_S, 0
            while time.monotonic() < give_up_at:
                _insert(connection, insert)
                written += 1
            counts.append(written)

    threads = [threading.Thread(target=write) for _ in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / WINDOW_S


def _insert(connection: Any, insert: Any) -> None:
    connection.execute(insert, VALUES)
