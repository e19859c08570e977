"""Arm the triggers of the seals; let what a stub of retention covers be deleted."""

from django.db import migrations

from audit.integrity import triggers


def arm(apps, schema_editor):
    connection = schema_editor.connection
    triggers.run(connection, triggers.remove_sql(connection.vendor))
    triggers.run(connection, triggers.install_sql(connection.vendor))


def disarm(apps, schema_editor):
    connection = schema_editor.connection
    triggers.run(connection, triggers.remove_sql(connection.vendor))
    triggers.run(connection, triggers.refuse_sql(connection.vendor, "audit_event"))


class Migration(migrations.Migration):
    dependencies = [("audit", "0004_seals")]
    operations = [migrations.RunPython(arm, disarm)]
