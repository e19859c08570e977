from django.apps import AppConfig


class UsersConfig(AppConfig):
    name = "apono_portal.users"
    label = "users"
