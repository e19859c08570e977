"""Arm the triggers that keep the audit log as it was written."""

from django.db import migrations

from audit.integrity import triggers


def arm(apps, schema_editor):
    connection = schema_editor.connection
    triggers.run(connection, triggers.refuse_sql(connection.vendor, "audit_event"))


def disarm(apps, schema_editor):
    connection = schema_editor.connection
    triggers.run(connection, triggers.permit_sql(connection.vendor, "audit_event"))


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]
    operations = [migrations.RunPython(arm, disarm)]
