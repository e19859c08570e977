from django.apps import AppConfig


class UsersConfig(AppConfig):
    name = "apono_portal.users"
    verbose_name = "Users"
    label = "users"

    def ready(self) -> None:
        from apono_portal.users.services.passwords import (
            PASSWORD_LINK,
            RESET_LINK,
            link_for_email,
            reset_link_for_email,
        )
        from audit.outbox import deferred_parts

        deferred_parts.register(PASSWORD_LINK, link_for_email)
        deferred_parts.register(RESET_LINK, reset_link_for_email)
