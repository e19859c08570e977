from django.apps import AppConfig
from django.core import checks


class MfaConfig(AppConfig):
    name = "mfa"
    verbose_name = "MFA"

    def ready(self) -> None:
        from mfa.checks import check_rows, check_settings

        checks.register(check_settings, checks.Tags.security)
        checks.register(check_rows, checks.Tags.database)
