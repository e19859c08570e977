from django.apps import AppConfig
from django.core import checks


class AuditConfig(AppConfig):
    name = "audit"
    verbose_name = "Audit log"

    def ready(self) -> None:
        from audit.signing_checks import check_public_keys, check_settings

        checks.register(check_settings, checks.Tags.security)
        checks.register(check_public_keys, checks.Tags.security, deploy=True)
