from django.apps import AppConfig


class SsoConfig(AppConfig):
    name = "apono_portal.sso"
    verbose_name = "Single sign-on"
    label = "sso"
