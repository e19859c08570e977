from django.apps import AppConfig


class AccessFlowsConfig(AppConfig):
    name = "accessflows"
