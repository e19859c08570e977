from django.apps import AppConfig


class AccessFlowsConfig(AppConfig):
    name = "accessflows"
    verbose_name = "Access flows and integrations"
