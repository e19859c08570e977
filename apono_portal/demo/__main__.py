"""``python -m apono_portal.demo``: the portal with everything around it, until Ctrl-C."""

import sys

from apono_portal.demo.supervisor import main

if __name__ == "__main__":
    sys.exit(main())
