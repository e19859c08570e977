from django.apps import AppConfig


class ScimConfig(AppConfig):
    name = "apono_portal.scim"
    verbose_name = "Provisioning (SCIM)"
    label = "scim"
