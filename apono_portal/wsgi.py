"""WSGI entry point."""

import os

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "apono_portal.settings")

application = get_wsgi_application()
if settings.AUDIT_SIGNING_KEY or settings.AUDIT_SIGNING_KEY_FILE:
    raise ImproperlyConfigured(
        "A web process must not be able to sign audit checkpoints. Set AUDIT_SIGNING_KEY and "
        "AUDIT_SIGNING_KEY_FILE for workers only."
    )
