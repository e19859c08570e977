"""Indexes for two questions that every page asks, built while the portal runs."""

from django.db import migrations, models

from apono_portal.core.db.concurrent_index import AddIndexOnline


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("requests_app", "0008_escalation_and_extensions")]

    operations = [
        AddIndexOnline(
            "accessrequest",
            models.Index(
                fields=["flow", "pending_until"],
                name="request_to_decide",
                condition=models.Q(status="pending_approval"),
            ),
        ),
        AddIndexOnline(
            "grant",
            models.Index(
                fields=["deadline"],
                name="grant_not_ended",
                condition=~models.Q(state="ended"),
            ),
        ),
    ]
