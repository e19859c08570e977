"""The portal's own settings with what a campaign on one small machine needs.

Passwords are hashed with Argon2 as in production, with the smallest memory and time: a campaign
makes tens of thousands of attempts, and what it measures is not how dear one try is. Nothing else that
protects anybody is changed.
"""

from django.contrib.auth.hashers import Argon2PasswordHasher

from apono_portal.settings import *  # noqa: F403


class QuickArgon2(Argon2PasswordHasher):
    """Argon2id with 1 MiB and one pass, under a name of its own: never mistaken for production's."""

    algorithm = "argon2quick"
    time_cost = 1
    memory_cost = 1024
    parallelism = 1

    def decode(self, encoded: str) -> dict[str, object]:
        return super().decode(encoded)


PASSWORD_HASHERS = ["bench.attack.settings.QuickArgon2"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# A campaign makes tens of thousands of refused requests: one line for each would be most of its work.
LOGGING["loggers"]["django.request"] = {"level": "ERROR"}  # noqa: F405
LOGGING["loggers"]["django.security"] = {"level": "ERROR"}  # noqa: F405
