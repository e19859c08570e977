"""At most one authenticator per user that is being set up, held by the database."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("mfa", "0001_initial"), ("otp_totp", "0003_add_timestamps")]
    operations = [
        migrations.RunSQL(
            "CREATE UNIQUE INDEX mfa_one_set_up ON otp_totp_totpdevice (user_id) WHERE NOT confirmed",
            "DROP INDEX mfa_one_set_up",
        )
    ]
