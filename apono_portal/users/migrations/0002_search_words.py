"""Words to find people by, indexes for the list of people, and when somebody was reminded of MFA."""

from django.db import migrations, models

from apono_portal.users.search import WORDS_SQL, words_of

BATCH = 2000


def fill(apps, schema_editor):
    people = apps.get_model("users", "User").objects.order_by("pk")
    last = 0
    while chunk := list(people.filter(pk__gt=last).only("pk", "name", "email")[:BATCH]):
        for person in chunk:
            person.search_words = words_of(person.name, person.email)
        people.bulk_update(chunk, ["search_words"])
        last = chunk[-1].pk


def index(apps, schema_editor):
    """PostgreSQL's own text search, without extensions (PostgreSQL manual, 12.9)."""
    if schema_editor.connection.vendor == "postgresql":
        words = WORDS_SQL.format("search_words")
        schema_editor.execute(f"CREATE INDEX user_words ON users_user USING gin (({words}))")


def unindex(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX IF EXISTS user_words")


class Migration(migrations.Migration):
    dependencies = [("users", "0001_initial")]

    operations = [
        migrations.AddField(
            "user", "mfa_reminded_at", models.DateTimeField(blank=True, editable=False, null=True)
        ),
        migrations.AddField(
            "user",
            "search_words",
            models.CharField(default="", editable=False, max_length=400),
            preserve_default=False,
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.AddIndex(
            "user", models.Index(fields=["search_words", "id"], name="user_in_order")
        ),
        migrations.AddIndex(
            "user", models.Index(fields=["role", "search_words", "id"], name="user_by_role")
        ),
        migrations.AddIndex(
            "user", models.Index(fields=["is_active", "search_words", "id"], name="user_by_status")
        ),
        migrations.RunPython(index, unindex),
    ]
