"""``python -m audit.verify_export``: verify an export of the audit log."""

import sys

from audit.verify_export.command import main

if __name__ == "__main__":
    sys.exit(main())
