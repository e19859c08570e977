"""The portal's settings with fixed keys and quick hashing, for tests and type checks."""

import base64
import os

os.environ.setdefault("SECRET_KEY", "tests-only-" + "x" * 50)
os.environ.setdefault(
    "ENCRYPTION_KEYS", "t1:" + base64.urlsafe_b64encode(bytes(range(64))).decode()
)
os.environ.setdefault("PORTAL_URL", "http://localhost")
os.environ.setdefault("DEBUG", "0")

from apono_portal.settings import *  # noqa: F403
from tests.undefined import Undefined

ALLOWED_HOSTS = ["localhost", "127.0.0.1", "testserver"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    # A manifest store answers 404 for every file when nothing was collected.
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
WHITENOISE_AUTOREFRESH = True
TEMPLATES[0]["OPTIONS"]["string_if_invalid"] = Undefined()  # type: ignore[index]  # noqa: F405
