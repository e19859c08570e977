"""Named filters over authenticators, trusted browsers and the verification ledger."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import models

if TYPE_CHECKING:
    from mfa.models import Authenticator, Passkey, TrustedBrowser, Verification  # noqa: F401

ONE_DAY = timedelta(days=1)


class AuthenticatorQuerySet(models.QuerySet["Authenticator"]):
    def confirmed(self) -> "AuthenticatorQuerySet":
        return self.filter(confirmed=True)

    def awaiting_confirmation(self) -> "AuthenticatorQuerySet":
        return self.filter(confirmed=False)

    def of(self, user_id: int) -> "AuthenticatorQuerySet":
        return self.filter(user_id=user_id)


class PasskeyQuerySet(models.QuerySet["Passkey"]):
    def of(self, user_id: int) -> "PasskeyQuerySet":
        return self.filter(user_id=user_id)


class TrustedBrowserQuerySet(models.QuerySet["TrustedBrowser"]):
    def trusted_by(self, user_id: int, epoch: int) -> "TrustedBrowserQuerySet":
        """Return the browsers whose attempts have a budget of their own now."""
        return self.filter(user_id=user_id, epoch=epoch)

    def replaceable(self, now: datetime) -> "TrustedBrowserQuerySet":
        """Return browsers that may make room for another: used once, more than a day ago."""
        return self.filter(last_used_at=models.F("created_at"), created_at__lt=now - ONE_DAY)


class VerificationQuerySet(models.QuerySet["Verification"]):
    def failures(self) -> "VerificationQuerySet":
        """Return attempts that used up budget: wrong and replayed codes, never blocked attempts."""
        return self.filter(outcome__in=["bad", "replay"])

    def passed(self) -> "VerificationQuerySet":
        return self.filter(outcome="ok")

    def in_scope(self, user_id: int, scope: str) -> "VerificationQuerySet":
        return self.filter(user_id=user_id, scope=scope)

    def in_session(self, user_id: int, session_ref: str) -> "VerificationQuerySet":
        return self.filter(user_id=user_id, session_ref=session_ref)

    def since(self, instant: datetime) -> "VerificationQuerySet":
        return self.filter(at__gt=instant)
