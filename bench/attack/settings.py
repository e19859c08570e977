"""The portal's settings with what a campaign on one small machine needs.

Nothing that protects anybody is changed: passwords are hashed as in production.
"""

from apono_portal.settings import *  # noqa: F403

STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# A campaign causes tens of thousands of refusals: logging each would be most of its work.
LOGGING["loggers"]["django.request"] = {"level": "ERROR"}  # noqa: F405
LOGGING["loggers"]["django.security"] = {"level": "ERROR"}  # noqa: F405
