from django.apps import AppConfig
from django.core import checks


class AccessFlowsConfig(AppConfig):
    name = "accessflows"
    verbose_name = "Access flows and integrations"

    def ready(self) -> None:
        from accessflows.dual_control.second_admin_check import check_second_admin

        checks.register(check_second_admin, checks.Tags.database)
