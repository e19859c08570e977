#!/usr/bin/env python
"""Django's command line for the portal."""

import os
import sys
from importlib import import_module

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

STARTS_WITHOUT_SETTINGS = {"check_settings", "setup"}


def main() -> None:
    """Run a command. A wrong setting ends it with one sentence."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "apono_portal.settings")
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command == "make_encryption_key":
        # The first key is made before anything is set, and making one opens nothing.
        for name in ("SECRET_KEY", "ENCRYPTION_KEYS", "PORTAL_URL"):
            os.environ.setdefault(name, "http://localhost")
    try:
        if command in STARTS_WITHOUT_SETTINGS:
            module = import_module(f"apono_portal.management.commands.{command}")
            module.Command().run_from_argv(sys.argv)
        else:
            execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
