from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "apono_portal.notifications"
    verbose_name = "Notifications"
    label = "notifications"
