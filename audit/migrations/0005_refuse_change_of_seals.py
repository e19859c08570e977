"""Arm the triggers of the seals; let what a stub of retention covers be deleted."""

from django.db import migrations

from audit import immutability


def arm(apps, schema_editor):
    connection = schema_editor.connection
    immutability.run(connection, immutability.remove_sql(connection.vendor))
    immutability.run(connection, immutability.install_sql(connection.vendor))


def disarm(apps, schema_editor):
    connection = schema_editor.connection
    immutability.run(connection, immutability.remove_sql(connection.vendor))
    immutability.run(connection, immutability.refuse_sql(connection.vendor, "audit_event"))


class Migration(migrations.Migration):
    dependencies = [("audit", "0004_seals")]
    operations = [migrations.RunPython(arm, disarm)]
