"""The public keys of a new secret: ``python -m accessflows.connectors.linux.public_keys < secret``."""

import sys

from accessflows.connectors.linux.keys import authority_key, broker_key, check_secret, public_line


def main() -> None:
    """Print the public keys of a secret, as ca.pub and broker_keys on the host have them."""
    secret = sys.stdin.readline().strip()
    check_secret(secret)
    authority, broker = public_line(authority_key(secret)), public_line(broker_key(secret))
    sys.stdout.write(f"{authority}\nrestrict {broker}\n")


if __name__ == "__main__":
    main()
