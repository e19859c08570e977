"""``python -m apono_portal.demo``: run the portal with a demo target until Ctrl-C."""

import sys

from apono_portal.demo.supervisor import main

if __name__ == "__main__":
    sys.exit(main())
