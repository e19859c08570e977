"""Users."""

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import PermissionsMixin
from django.core.exceptions import ObjectDoesNotExist
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.crypto import salted_hmac

from apono_portal.core.db.email_domain import EmailDomain
from apono_portal.core.web.user_agent import name_browser
from apono_portal.users.managers import UserManager, UserQuerySet
from apono_portal.users.search import SearchWordsField


class PasswordFailure(models.Model):
    """An incorrect password of the last minutes (`apono_portal.users.password_limits`).

    ``account`` is a keyed hash of what was entered as email, ``network`` an IPv4 address or an IPv6 /64, and
    ``browser`` a hash of the nonce of a browser in which the user signed in before.
    """

    account = models.CharField(max_length=64)
    network = models.CharField(max_length=64, blank=True)
    browser = models.CharField(max_length=64, blank=True)
    at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["account", "at"], name="password_failure_of_account"),
            models.Index(fields=["network", "at"], name="password_failure_of_network"),
            models.Index(fields=["at"], name="password_failure_by_age"),
        ]

    def __str__(self) -> str:
        return f"Incorrect password at {self.at:%Y-%m-%d %H:%M:%S}"


class SignedInDevice(models.Model):
    """A session of a user, as pages list it and end it: by its id, never by anything that opens it.

    ``session_hash`` is what the table of sessions has, and ``auth`` the session hash of the user at that
    time: a session made void by a new password or an MFA reset is no longer listed.
    """

    user = models.ForeignKey("users.User", on_delete=models.CASCADE, related_name="devices")
    session_hash = models.CharField(max_length=40, unique=True, editable=False)
    auth = models.CharField(max_length=64, editable=False)
    user_agent = models.CharField(max_length=256, blank=True)
    address = models.GenericIPAddressField(null=True, blank=True)
    signed_in_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["signed_in_at"], name="device_by_age")]

    def __str__(self) -> str:
        return f"{self.name}, {self.address}" if self.address else self.name

    @property
    def name(self) -> str:
        return name_browser(self.user_agent)

    @property
    def is_phone(self) -> bool:
        return any(system in self.user_agent for system in ("Android", "iPhone"))


class Role(models.TextChoices):
    """What a user may do in the portal beyond requesting and approving."""

    ADMIN = "admin", "Admin"
    AUDITOR = "auditor", "Auditor"
    MEMBER = "member", "Member"


class DeactivatedBy(models.TextChoices):
    """Who deactivated a user. Only the same may reactivate: a directory does not overrule an admin."""

    ADMIN = "admin", "An admin"
    DIRECTORY = "directory", "The directory"


class User(AbstractBaseUser, PermissionsMixin):
    """A user, identified by email. Groups decide what they may request and approve."""

    email = models.EmailField(max_length=254, unique=True)
    name = models.CharField(max_length=64)
    role = models.CharField(max_length=16, choices=Role.choices, default=Role.MEMBER)
    is_active = models.BooleanField("active", default=True)
    deactivated_by = models.CharField(
        max_length=16, choices=DeactivatedBy.choices, blank=True, editable=False
    )
    # Keeps the password where single sign-on is enforced (`apono_portal.sso.enforcement`).
    is_break_glass = models.BooleanField("break-glass admin", default=False, editable=False)
    # For scripts: signs in nowhere, acts by token only, and requests nothing that requires MFA.
    is_service = models.BooleanField("service account", default=False, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    time_zone = models.CharField(max_length=64, blank=True)  # empty: the browser's
    mfa_reminded_at = models.DateTimeField(null=True, blank=True, editable=False)
    search_words = SearchWordsField(editable=False)

    is_superuser = None
    user_permissions = None  # type: ignore[assignment]

    objects = UserManager.from_queryset(UserQuerySet)()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = ["name"]

    class Meta:
        ordering = ["name", "email"]
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_any_case")]
        indexes = [
            models.Index(fields=["search_words", "id"], name="user_in_order"),
            models.Index(fields=["role", "search_words", "id"], name="user_by_role"),
            models.Index(fields=["is_active", "search_words", "id"], name="user_by_status"),
            models.Index(EmailDomain("email"), name="user_by_email_domain"),
        ]

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>"

    @property
    def initials(self) -> str:
        words = self.name.split() or [self.email]
        return (words[0][:1] + (words[-1][:1] if len(words) > 1 else "")).upper()

    @property
    def is_account_admin(self) -> bool:
        return self.is_active and self.role == Role.ADMIN

    @property
    def can_read_everything(self) -> bool:
        return self.is_active and self.role in {Role.ADMIN, Role.AUDITOR}

    @property
    def is_staff(self) -> bool:
        """Return whether the user may use Django admin, which is for account admins."""
        return self.is_account_admin

    def has_perm(self, perm: str, obj: object = None) -> bool:
        return self.is_account_admin

    def has_perms(self, perm_list: object, obj: object = None) -> bool:
        return self.is_account_admin

    def has_module_perms(self, app_label: str) -> bool:
        return self.is_account_admin

    @property
    def mfa_methods(self) -> str:
        """Return the kinds of method set up, such as "Passkey", of a user read by `with_methods`."""
        kinds = {"authenticator_id": "authenticator app", "passkey_id": "passkey"}
        names = [kind for name, kind in kinds.items() if getattr(self, name, None) is not None]
        return " and ".join(names).capitalize()

    @property
    def mfa_epoch(self) -> int:
        try:
            return self.mfa_state.epoch
        except ObjectDoesNotExist:
            return 0

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """Bind sessions to password and MFA epoch, so that changing either ends all of them."""
        return salted_hmac(
            "apono_portal.users.User.session",
            f"{self.password}:{self.mfa_epoch}",
            secret=secret,
            algorithm="sha256",
        ).hexdigest()
