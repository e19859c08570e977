#!/usr/bin/env python
"""Django's command line for the portal."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "apono_portal.settings")
    if sys.argv[1:2] == ["make_encryption_key"]:
        # The first key is made before anything is set, and making one opens nothing.
        for name in ("SECRET_KEY", "ENCRYPTION_KEYS", "PORTAL_URL"):
            os.environ.setdefault(name, "http://localhost")
    execute_from_command_line(sys.argv)
