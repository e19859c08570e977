from django.apps import AppConfig


class NoticesConfig(AppConfig):
    name = "apono_portal.notices"
    verbose_name = "Notices"
    label = "notices"
