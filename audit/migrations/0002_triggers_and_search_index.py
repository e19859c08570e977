"""Triggers that refuse changes to the log, and the index for word search.

PostgreSQL's own text search, without extensions (PostgreSQL manual, 12.9).
"""

from django.db import migrations

from audit.integrity import triggers
from audit.search import WORDS_SQL


def install(apps, schema_editor):
    connection = schema_editor.connection
    triggers.run(connection, triggers.install_sql(connection.vendor))
    if connection.vendor == "postgresql":
        words = WORDS_SQL.format("")
        schema_editor.execute(f"CREATE INDEX event_words ON audit_event USING gin (({words}))")


def remove(apps, schema_editor):
    connection = schema_editor.connection
    triggers.run(connection, triggers.remove_sql(connection.vendor))
    if connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX IF EXISTS event_words")


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]
    operations = [migrations.RunPython(install, remove)]
