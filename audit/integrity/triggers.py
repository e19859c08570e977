"""Database triggers that refuse to change or delete a row of the audit log and of its seals.

One deletion is lawful: what a stub of retention covers (audit/integrity/retention.py). The triggers look for
that stub themselves; there is no switch that lets a session through.
"""

from django.db.backends.base.base import BaseDatabaseWrapper

REFUSAL = "the audit log cannot be changed"
# Table to the condition under which a row, OLD, may be deleted.
_LAWFUL = {
    "audit_event": """EXISTS (SELECT 1 FROM audit_chainentry s, audit_retentionstub r
        WHERE s.event_id = OLD.id AND s.position <= r.through_position)""",
    "audit_chainentry": """EXISTS (SELECT 1 FROM audit_retentionstub r
        WHERE OLD.position <= r.through_position)
        AND NOT EXISTS (SELECT 1 FROM audit_event e WHERE e.id = OLD.event_id)""",
    "audit_checkpoint": """EXISTS (SELECT 1 FROM audit_retentionstub r
        WHERE OLD.number <= r.through_seal)
        AND NOT EXISTS (SELECT 1 FROM audit_chainentry s WHERE s.position <= OLD.last_position)""",
    "audit_retentionstub": "",
}


def refuse_sql(vendor: str, table: str, lawful: str = "") -> list[str]:
    """Return the statements that arm one table on ``sqlite`` or ``postgresql``."""
    return {"sqlite": _sqlite, "postgresql": _postgresql}[vendor](table, lawful)


def _sqlite(table: str, lawful: str) -> list[str]:
    unless = f"WHEN NOT ({lawful})" if lawful else ""
    return [
        f"""CREATE TRIGGER IF NOT EXISTS {table}_no_{verb.lower()} BEFORE {verb} ON {table}
        {unless if verb == "DELETE" else ""} BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"""
        for verb in ("UPDATE", "DELETE")
    ]


def _postgresql(table: str, lawful: str) -> list[str]:
    way = f"IF TG_OP = 'DELETE' THEN IF {lawful} THEN RETURN OLD; END IF; END IF;" if lawful else ""
    return [
        f"""CREATE OR REPLACE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN {way} RAISE EXCEPTION '{REFUSAL}'; END $$""",
        f"""CREATE OR REPLACE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table}
        FOR EACH ROW EXECUTE FUNCTION {table}_refuse()""",
        f"""CREATE OR REPLACE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}
        FOR EACH STATEMENT EXECUTE FUNCTION {table}_refuse()""",
    ]


def permit_sql(vendor: str, table: str) -> list[str]:
    """Return the statements that take one table's triggers away again."""
    if vendor == "sqlite":
        return [f"DROP TRIGGER IF EXISTS {table}_no_{verb}" for verb in ("update", "delete")]
    return [
        f"DROP TRIGGER IF EXISTS {table}_no_{what} ON {table}" for what in ("change", "truncate")
    ]


def install_sql(vendor: str) -> list[str]:
    """Return the statements that arm every table."""
    return [
        statement
        for table, lawful in _LAWFUL.items()
        for statement in refuse_sql(vendor, table, lawful)
    ]


def remove_sql(vendor: str) -> list[str]:
    """Return the statements that take all triggers away again."""
    return [statement for table in _LAWFUL for statement in permit_sql(vendor, table)]


def run(connection: BaseDatabaseWrapper, statements: list[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
