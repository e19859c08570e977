"""Database triggers that refuse every change to the audit log and its chain.

One deletion is allowed: what a retention stub covers (audit/integrity/retention.py). The triggers look
up that stub themselves; no session setting turns them off.
"""

from collections.abc import Iterable

from django.db.backends.base.base import BaseDatabaseWrapper

REFUSAL = "the audit log cannot be changed"
# The condition under which a row of a table, OLD, may be deleted.
_DELETABLE = {
    "audit_event": """EXISTS (SELECT 1 FROM audit_chainentry c, audit_retentionstub r
        WHERE c.event_id = OLD.id AND c.position <= r.through_position)""",
    "audit_chainentry": """EXISTS (SELECT 1 FROM audit_retentionstub r
        WHERE OLD.position <= r.through_position)
        AND NOT EXISTS (SELECT 1 FROM audit_event e WHERE e.id = OLD.event_id)""",
    "audit_checkpoint": """EXISTS (SELECT 1 FROM audit_retentionstub r
        WHERE OLD.number <= r.through_checkpoint)
        AND NOT EXISTS (SELECT 1 FROM audit_chainentry c WHERE c.position <= OLD.last_position)""",
    "audit_signedcheckpoint": """EXISTS (SELECT 1 FROM audit_retentionstub r
        WHERE OLD.size <= r.through_position)""",
    "audit_retentionstub": "",
}


def _sqlite_triggers(table: str, deletable: str) -> list[str]:
    unless = f"WHEN NOT ({deletable})" if deletable else ""
    return [
        f"""CREATE TRIGGER IF NOT EXISTS {table}_no_{verb.lower()} BEFORE {verb} ON {table}
        {unless if verb == "DELETE" else ""} BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"""
        for verb in ("UPDATE", "DELETE")
    ]


def _postgresql_triggers(table: str, deletable: str) -> list[str]:
    allow = f"IF TG_OP = 'DELETE' THEN IF {deletable} THEN RETURN OLD; END IF; END IF;"
    return [
        f"""CREATE OR REPLACE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN {allow if deletable else ""} RAISE EXCEPTION '{REFUSAL}'; END $$""",
        f"""CREATE OR REPLACE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table}
        FOR EACH ROW EXECUTE FUNCTION {table}_refuse()""",
        f"""CREATE OR REPLACE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}
        FOR EACH STATEMENT EXECUTE FUNCTION {table}_refuse()""",
    ]


def install_sql(vendor: str) -> list[str]:
    """Return the statements that create all triggers on ``sqlite`` or ``postgresql``."""
    create = {"sqlite": _sqlite_triggers, "postgresql": _postgresql_triggers}[vendor]
    return [sql for table, deletable in _DELETABLE.items() for sql in create(table, deletable)]


def remove_sql(vendor: str, tables: Iterable[str] = tuple(_DELETABLE)) -> list[str]:
    """Return the statements that drop the triggers of some tables, or of all."""
    if vendor == "sqlite":
        return [
            f"DROP TRIGGER IF EXISTS {table}_no_{verb}"
            for table in tables
            for verb in ("update", "delete")
        ]
    return [
        f"DROP TRIGGER IF EXISTS {table}_no_{verb} ON {table}"
        for table in tables
        for verb in ("change", "truncate")
    ]


def run(connection: BaseDatabaseWrapper, statements: list[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
