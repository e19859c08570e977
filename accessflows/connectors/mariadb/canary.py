"""The canary of a server, which also signs in with its credential, before and after containment."""

from accessflows.connectors.canary import SignInCanary
from accessflows.connectors.mariadb.connection import may_sign_in


class MariaDBCanary(SignInCanary):
    def may_sign_in(self) -> bool:
        return may_sign_in(self.as_grantee)
