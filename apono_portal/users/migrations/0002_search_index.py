"""The index for searching users by words (PostgreSQL manual, 12.9)."""

from django.db import migrations

from apono_portal.users.search import WORDS_SQL


def create_index(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        words = WORDS_SQL.format("search_words")
        schema_editor.execute(f"CREATE INDEX user_words ON users_user USING gin (({words}))")


def drop_index(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX IF EXISTS user_words")


class Migration(migrations.Migration):
    dependencies = [("users", "0001_initial")]
    operations = [migrations.RunPython(create_index, drop_index)]
