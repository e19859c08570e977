"""The canary of a server, which also signs in with its credential, before and after containment."""

from accessflows.connectors.canary import SignInCanary
from accessflows.connectors.mariadb.connection import may_sign_in


class MariaDBCanary(SignInCanary):
    may_sign_in = staticmethod(may_sign_in)
