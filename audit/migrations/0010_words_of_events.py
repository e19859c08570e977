"""An index over the words of events, for the log's filters, built while the portal runs.

PostgreSQL's own text search, without extensions (PostgreSQL manual, 12.9).
"""

from django.db import migrations

from audit.search import WORDS_SQL


def index(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        unindex(apps, schema_editor)  # one that was cut short is marked invalid
        words = WORDS_SQL.format("")
        schema_editor.execute(
            f"CREATE INDEX CONCURRENTLY event_words ON audit_event USING gin (({words}))"
        )


def unindex(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX CONCURRENTLY IF EXISTS event_words")


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("audit", "0009_progress_of_exports")]

    operations = [migrations.RunPython(index, unindex)]
