"""Tokens of links that users request by email: for one user in their present state, and for an hour."""

from datetime import timedelta

from django.core.signing import BadSignature, TimestampSigner

from apono_portal.users.models import User

RESET_LIFETIME = timedelta(hours=1)


class ResetTokenGenerator:
    """What Django's view of password links needs of a generator.

    A sign-in, a new password, another email or an MFA reset make a token void.
    """

    def make_token(self, user: User) -> str:
        return self._signer(user).sign(str(user.pk))

    def check_token(self, user: User | None, token: str | None) -> bool:
        if user is None or not token:
            return False
        try:
            return self._signer(user).unsign(token, max_age=RESET_LIFETIME) == str(user.pk)
        except BadSignature:
            return False

    def _signer(self, user: User) -> TimestampSigner:
        last_login = user.last_login.isoformat() if user.last_login else ""
        state = (user.pk, user.password, last_login, user.email, user.mfa_epoch)
        return TimestampSigner(sep=".", salt=f"users.password_reset:{state}")


reset_token_generator = ResetTokenGenerator()
