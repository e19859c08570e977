"""The portal's settings with what a campaign on one small machine needs.

Nothing that protects anybody is changed: passwords are hashed as in production.
"""

from apono_portal.settings import *  # noqa: F403
from apono_portal.users.hashers import PasswordHasher

<<<<<<< HEAD
=======

class QuickArgon2(PasswordHasher):
    """Argon2id with 1 MiB and one pass, under a name of its own: never mistaken for production's."""

    algorithm = "argon2quick"
    time_cost = 1
    memory_cost = 1024


PASSWORD_HASHERS = ["bench.attack.settings.QuickArgon2"]
>>>>>>> auth
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# A campaign causes tens of thousands of refusals: logging each would be most of its work.
LOGGING["loggers"]["django.request"] = {"level": "ERROR"}  # noqa: F405
LOGGING["loggers"]["django.security"] = {"level": "ERROR"}  # noqa: F405
