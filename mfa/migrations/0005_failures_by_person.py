"""The index of failures names their person, too, so that who failed often is counted in it alone."""

from django.db import migrations, models

from apono_portal.core.db.concurrent_index import AddIndexOnline


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("mfa", "0004_index_of_failures")]

    operations = [
        AddIndexOnline(
            model_name="verification",
            index=models.Index(
                fields=["at", "user"],
                name="verification_failures_of",
                condition=models.Q(outcome__in=["bad", "replay"]),
            ),
        ),
        migrations.RemoveIndex(model_name="verification", name="verification_failures"),
    ]
