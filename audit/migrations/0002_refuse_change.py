"""Arm the triggers that keep the audit log as it was written."""

from django.db import migrations

from audit import immutability


def arm(apps, schema_editor):
    connection = schema_editor.connection
    immutability.run(connection, immutability.refuse_sql(connection.vendor, "audit_event"))


def disarm(apps, schema_editor):
    connection = schema_editor.connection
    immutability.run(connection, immutability.permit_sql(connection.vendor, "audit_event"))


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]
    operations = [migrations.RunPython(arm, disarm)]
