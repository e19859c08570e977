"""At most one confirmed and one unconfirmed authenticator per user, held by the database."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("mfa", "0001_initial"), ("otp_totp", "0003_add_timestamps")]
    operations = [
        migrations.RunSQL(
            "CREATE UNIQUE INDEX mfa_one_authenticator ON otp_totp_totpdevice (user_id, confirmed)",
            "DROP INDEX mfa_one_authenticator",
        )
    ]
