"""Named filters over authenticators and the verification ledger."""

from datetime import datetime
from typing import TYPE_CHECKING

from django.db import models

if TYPE_CHECKING:
    pass


class AuthenticatorQuerySet(models.QuerySet["Authenticator"]):
    def confirmed(self) -> "AuthenticatorQuerySet":
        return self.filter(confirmed=True)

    def awaiting_confirmation(self) -> "AuthenticatorQuerySet":
        return self.filter(confirmed=False)


class VerificationQuerySet(models.QuerySet["Verification"]):
    def failures(self) -> "VerificationQuerySet":
        """Tries that used up a lane's budget: wrong and replayed codes, never blocked tries."""
        return self.filter(outcome__in=["bad", "replay"])

    def in_lane(self, user_id: int, lane: str) -> "VerificationQuerySet":
        return self.filter(user_id=user_id, lane=lane)

    def since(self, instant: datetime) -> "VerificationQuerySet":
        return self.filter(at__gt=instant)
