"""Fills a portal's database up to a size, table by table, and says how far it is.

Two connections work beside each other: one writes the events, the other all else. Secondary indexes
are dropped before many rows are added, and made anew afterwards: the database ends up with the same.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from bench.speed.grown import rows
from bench.speed.grown.sizes import Growth, Size

AT_ONCE = 500_000  # rows of one statement, so that there is something to say
WORTH_ANEW = 20_000  # rows from which on indexes are dropped and made anew
SECONDARY = """
    SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index i
    WHERE i.indrelid = %s::regclass AND NOT i.indisprimary
    AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = i.indexrelid)"""
# What pages read is consistent by construction; triggers and references would only be looked up.
SESSION = """
    SET session_replication_role = replica;
    SET synchronous_commit = off;
    SET maintenance_work_mem = '700MB';
    SET work_mem = '64MB'"""

Connect = Callable[[], psycopg.Connection[Any]]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Table:
    """How a table is filled, and how many numbers there are for a size."""

    name: str
    statement: str
    numbers: Callable[[Size], int]
    key: str | None = "id"  # the column that numbers rows by itself


EVENTS = [Table("audit_event", rows.EVENTS, lambda size: size.events)]
OTHERS = [
    Table("users_user", rows.PEOPLE, lambda size: size.people),
    Table("mfa_mfastate", rows.STATES, lambda size: size.people, None),
    Table("users_user_groups", rows.MEMBERSHIPS, lambda size: size.people * 2),
    Table("otp_totp_totpdevice", rows.AUTHENTICATORS, lambda size: size.people),
    Table("mfa_knownbrowser", rows.BROWSERS, lambda size: size.people),
    Table("django_session", rows.SESSIONS, lambda size: size.people, None),
    Table("mfa_verification", rows.VERIFICATIONS, lambda size: size.requests * 2),
    Table("requests_app_accessrequest", rows.REQUESTS, lambda size: size.requests),
    Table("requests_app_requestedtarget", rows.TARGETS, lambda size: size.requests),
    Table("requests_app_grant", rows.GRANTS, lambda size: size.requests, None),
    Table("requests_app_decision", rows.DECISIONS, lambda size: size.requests),
    Table("audit_delivery", rows.DELIVERIES, lambda size: size.requests),
    Table("audit_chainentry", rows.PLACES, lambda size: size.events, None),
    Table("audit_checkpoint", rows.SEALS, lambda size: size.events // 500, None),
]


def prepare(connect: Connect) -> None:
    """Make what every size has: groups, flows and what they lead to."""
    with connect() as connection:
        connection.execute(SESSION)
        connection.execute(rows.STANDING.format())
        for table in ("auth_group", "accessflows_integration", "accessflows_resource", "accessflows_permission", "accessflows_accessflow"):  # fmt: skip
            _number_on(connection, table, "id")


def grow(connect: Connect, growth: Growth, say: Say) -> None:
    """Add all that is between two sizes."""
    with ThreadPoolExecutor(2) as both:
        streams = [both.submit(_fill, connect, tables, growth, say) for tables in (EVENTS, OTHERS)]
        for stream in streams:
            stream.result()
    with connect() as connection:
        if growth.before.people == 0:
            connection.execute(SESSION)
            connection.execute(rows.OWN_REQUESTS.format())
        settled = "INSERT INTO audit_chainstate (id, settled_id, observed_id, observed_writers, verified_checkpoint, verified_by_label, verified_hash, findings, first_finding) VALUES (1, %(id)s, %(id)s, '[]', 0, '', '', 0, '') ON CONFLICT (id) DO UPDATE SET settled_id = %(id)s, observed_id = %(id)s"  # fmt: skip
        connection.execute(settled, {"id": growth.after.events})


def _fill(connect: Connect, tables: list[Table], growth: Growth, say: Say) -> None:
    with connect() as connection:
        connection.execute(SESSION)
        for table in tables:
            _fill_table(connection, table, growth, say)


def _fill_table(
    connection: psycopg.Connection[Any], table: Table, growth: Growth, say: Say
) -> None:
    first, last = table.numbers(growth.before), table.numbers(growth.after)
    began = time.monotonic()
    anew = _drop_indexes(connection, table.name) if last - first >= WORTH_ANEW else []
    for lo in range(first, last, AT_ONCE):
        hi = min(lo + AT_ONCE, last)
        connection.execute(_statement(table, growth, lo, hi))
        if last - first > AT_ONCE:
            say(f"  {table.name}: {hi:,} of {last:,}, {time.monotonic() - began:.0f} s")
    for definition in anew:
        connection.execute(definition)
    if table.key:
        _number_on(connection, table.name, table.key)
    if last - first > AT_ONCE:
        say(f"  {table.name}: with {len(anew)} indexes, {time.monotonic() - began:.0f} s")


def _statement(table: Table, growth: Growth, lo: int, hi: int) -> str:
    events = growth.after.events - growth.before.events
    pace = (growth.until - growth.since) / events
    return table.statement.format(
        lo=lo,
        hi=hi,
        people=growth.after.people,
        since=growth.since.isoformat(),
        first_event=growth.before.events,
        pace_us=round(pace.total_seconds() * 1e6),
    )


def _drop_indexes(connection: psycopg.Connection[Any], table: str) -> list[str]:
    found = connection.execute(SECONDARY, [table]).fetchall()
    for name, _ in found:
        connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
    return [definition for _, definition in found]


def _number_on(connection: psycopg.Connection[Any], table: str, key: str) -> None:
    """Rows that are added later are numbered after those that are there."""
    last = f"SELECT setval(pg_get_serial_sequence(%s, %s), (SELECT max({key}) FROM {table}))"
    connection.execute(last, [table, key])
