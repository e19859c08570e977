"""Authenticators, passkeys, trusted browsers, recovery codes and the ledger of verifications."""

import secrets
import time
from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.utils import timezone
from django_otp.oath import TOTP
from django_otp.plugins.otp_totp.models import TOTPDevice

from apono_portal.core.crypto import encryption
from apono_portal.core.crypto.authenticity import AuthenticatedRow
from apono_portal.core.web.user_agent import name_browser
from mfa.querysets import (
    AuthenticatorQuerySet,
    PasskeyQuerySet,
    TrustedBrowserQuerySet,
    VerificationQuerySet,
)


class MfaState(models.Model):
    """One row per user, locked before any decision about that user's MFA.

    ``epoch`` goes up whenever earlier proof stops counting: at reset, set-up and password change.
    Sessions and evidence carry the epoch they were made in.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="mfa_state",
        primary_key=True,
    )
    epoch = models.PositiveIntegerField(default=0)
    # The 30-day limit counts failures after this instant.
    lockout_lifted_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"MFA state of {self.user_id}, epoch {self.epoch}"


class Authenticator(TOTPDevice):  # type: ignore[misc]
    """An authenticator app: django-otp's TOTP row with an encrypted ``key`` (RFC 6238, RFC 5297).

    The ciphertext is not hexadecimal on purpose: the base class raises on it instead of verifying
    codes made from ciphertext.
    """

    objects = AuthenticatorQuerySet.as_manager()

    class Meta:
        verbose_name = "MFA state"
        proxy = True

    def __str__(self) -> str:
        return str(self.name)

    @property
    def bin_key(self) -> bytes:
        """Return the shared secret, 20 bytes. Decrypts for this row's owner only."""
        return encryption.decrypt(self.key, purpose=encryption.TOTP_KEY, owner=self.user_id)

    @staticmethod
    def new_encrypted_key(user_id: int) -> str:
        """Return a new 20-byte secret (RFC 4226, section 4, R6), encrypted for its owner."""
        return encryption.encrypt(
            secrets.token_bytes(20), purpose=encryption.TOTP_KEY, owner=user_id
        )

    def throttle_increment(self, commit: bool = True) -> None:  # noqa: FBT001, FBT002 - django-otp's
        """Do nothing: the ledger counts failures by scope, so that no stranger can lock the owner out."""

    def was_spent(self, code: str) -> bool:
        """Return whether a code that was just refused is valid at this moment, so was used before."""
        totp = TOTP(self.bin_key, self.step, self.t0, self.digits, self.drift)
        totp.time = time.time()
        return bool(totp.verify(int(code), self.tolerance))


class Passkey(AuthenticatedRow):
    """A passkey (WebAuthn credential): the public key of a private key that its owner's device keeps.

    Nothing in it is secret, but whoever could write a row would own a factor, so it carries a MAC.
    ``user_handle`` is random and the same for all passkeys of a user; authenticators store it.
    """

    MAC_FIELDS = (
        "user_id",
        "credential_id",
        "public_key",
        "sign_count",
        "user_handle",
        "rp_id",
        "is_device_bound",
        "created_at",
        "vouched_at",
    )

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="passkeys"
    )
    credential_id = models.CharField(max_length=1364, unique=True)  # base64url of up to 1023 bytes
    public_key = models.TextField()  # base64url of the COSE key
    sign_count = models.PositiveBigIntegerField()
    user_handle = models.CharField(max_length=43)
    rp_id = models.CharField(max_length=253)
    transports = models.JSONField(default=list, blank=True)
    aaguid = models.CharField(max_length=36, blank=True)  # a hint: attestation is not demanded
    is_device_bound = models.BooleanField()
    is_backed_up = models.BooleanField()
    name = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now)
    last_used_at = models.DateTimeField(null=True, blank=True)
    vouched_at = models.DateTimeField(null=True, blank=True)
    vouched_by_label = models.CharField(max_length=320, blank=True)

    objects = PasskeyQuerySet.as_manager()

    class Meta:
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return self.name

    @property
    def counts_from(self) -> datetime:
        """Return when it counts, or began to count, for flows that demand a passkey."""
        return self.vouched_at or self.created_at + settings.MFA_NEW_PASSKEY_WAIT

    @property
    def is_new(self) -> bool:
        return self.counts_from > timezone.now()


class PasskeyChallenge(models.Model):
    """The challenge of one ceremony, for one session, user and purpose. It is used once."""

    LIFETIME = timedelta(minutes=5)

    class Purpose(models.TextChoices):
        REGISTER = "register", "Add a passkey"
        VERIFY = "verify", "Verify"

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="passkey_challenges"
    )
    session_ref = models.CharField(max_length=64)
    purpose = models.CharField(max_length=8, choices=Purpose.choices)
    challenge = models.CharField(max_length=43, unique=True)
    user_handle = models.CharField(max_length=43, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["user", "session_ref", "created_at"], name="challenge_by_session")
        ]

    def __str__(self) -> str:
        return f"Challenge {self.pk} of {self.user_id}"


class TrustedBrowser(models.Model):
    """A browser in which its owner has verified. Its attempts have a budget of their own.

    Only a hash of the cookie's nonce is stored. It is trusted while its epoch is the user's.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="trusted_browsers"
    )
    nonce_hash = models.CharField(max_length=64, unique=True)
    epoch = models.PositiveIntegerField()
    user_agent = models.CharField(max_length=256, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    last_used_at = models.DateTimeField(default=timezone.now)

    objects = TrustedBrowserQuerySet.as_manager()

    class Meta:
        ordering = ["-last_used_at", "-id"]

    def __str__(self) -> str:
        return f"Trusted browser {self.pk} of {self.user_id}"

    @property
    def name(self) -> str:
        return name_browser(self.user_agent)


class RecoveryCode(models.Model):
    """One of ten single-use codes for a lost authenticator. Only a hash is stored."""

    FEW = 3  # with no more left, the owner is asked to generate new ones

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="recovery_codes"
    )
    code_hash = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(default=timezone.now)
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"Recovery code {self.pk} of {self.user_id}"


class Outcome(models.TextChoices):
    """The outcome of a verification."""

    OK = "ok", "Verified"
    BAD = "bad", "Incorrect code"
    REPLAY = "replay", "Code already used"
    REPEATED = "repeated", "Same code again"
    THROTTLED = "throttled", "Locked out"
    NO_DEVICE = "no_device", "MFA not set up"
    REFUSED = "refused", "Passkey refused"


class Method(models.TextChoices):
    """What a verification was made with."""

    CODE = "code", "Authenticator app"
    PASSKEY = "passkey", "Passkey"
    RECOVERY = "recovery", "Recovery code"


class Strength(models.TextChoices):
    """Which methods a flow accepts, the weakest first.

    A device-bound passkey never leaves the device it was made on; a synced one does.
    """

    ANY = "any", "Any method"
    PHISHING_RESISTANT = "phishing_resistant", "Phishing-resistant (passkey)"
    DEVICE_BOUND = "device_bound", "Device-bound passkey"


class Verification(AuthenticatedRow):
    """One attempt. A row with outcome ``ok`` is the evidence that requests carry.

    ``device_id`` is a passkey's or an authenticator's, as ``method`` says. ``used_for`` is set once
    the verification counts for that one action only.
    """

    MAC_FIELDS = (
        "user_id",
        "at",
        "outcome",
        "epoch",
        "method",
        "device_id",
        "device_name",
        "scope",
        "used_for",
    )
    UNKNOWN_SCOPE = "unknown"
    SET_UP_SCOPE = "set_up"
    RECOVERY_CODE = "Recovery code"

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="verifications"
    )
    at = models.DateTimeField(default=timezone.now)
    outcome = models.CharField(max_length=16, choices=Outcome.choices)
    scope = models.CharField(max_length=32, default=UNKNOWN_SCOPE)
    session_ref = models.CharField(max_length=64, blank=True)  # a hash of the session key
    epoch = models.PositiveIntegerField()
    method = models.CharField(max_length=8, choices=Method.choices, default=Method.CODE)
    device_id = models.BigIntegerField(null=True, blank=True)
    used_for = models.CharField(max_length=64, blank=True)
    device_name = models.CharField(max_length=64, blank=True)
    address = models.GenericIPAddressField(null=True, blank=True)
    user_agent = models.CharField(max_length=256, blank=True)

    objects = VerificationQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["user", "scope", "at"], name="verification_by_scope"),
            models.Index(fields=["user", "-at"], name="verification_by_user"),
            models.Index(
                fields=["at", "user"],
                name="verification_failures",
                condition=models.Q(outcome__in=["bad", "replay"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_outcome_display()} at {self.at:%Y-%m-%d %H:%M:%S}"

    @property
    def window_closes_at(self) -> datetime:
        return self.at + settings.MFA_WINDOW
