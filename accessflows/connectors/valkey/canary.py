"""The canary of a server, which also signs in with its credential, before and after containment."""

from accessflows.connectors.canary import SignInCanary
from accessflows.connectors.valkey.connection import may_sign_in


class ValkeyCanary(SignInCanary):
    def may_sign_in(self) -> bool:
        return may_sign_in(self.as_grantee)
