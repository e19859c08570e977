"""Passwords: changed by their owner, or set through a link that works once.

A link comes from an account admin, or is requested by whoever has the user's mailbox.

An enrolled user needs MFA for either: an open window, or a code together with the link. Every change
advances the user's epoch, which ends other sessions and closes verified windows.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from django.conf import settings
from django.contrib.auth.tokens import default_token_generator
from django.db import transaction
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from accessflows.permissions import require_admin
from apono_portal.core.web.absolute_urls import absolute_url
from apono_portal.core.web.client import ClientInfo
from apono_portal.sso.enforcement import may_use_password
from apono_portal.users.exceptions import UserError
from apono_portal.users.managers import normalise_email
from apono_portal.users.models import User
from apono_portal.users.ownership import directory_of
from apono_portal.users.password_limits import PERIOD
from apono_portal.users.reset_tokens import RESET_LIFETIME, reset_token_generator
from audit.events import EventName
from audit.models import Event
from audit.outbox.deferred_parts import PLACEHOLDER
from audit.outbox.deliveries import enqueue_email
from audit.services import ANONYMOUS_LABEL, record
from mfa import emails
from mfa.enrolment.recovery_codes import verify_any_code
from mfa.methods.selectors import is_enrolled
from mfa.verification.attempts import VerificationResult, record_success
from mfa.verification.evidence import require_evidence_if_enrolled
from mfa.verification.locking import advance_epoch, lock_state
from mfa.verification.throttle_scope import ThrottleScope
from mfa.verification.window import Window

PASSWORD_LINK, RESET_LINK = "password_link", "reset_link"
MAX_EMAILS = 3  # with a link to one user in `PERIOD`
UNKNOWN_BROWSER = ThrottleScope()
ACCOUNT_CHANGED = "Your password or account has changed. Sign in again."
NO_PASSWORD = "You sign in through your identity provider, without a password."
USES_SSO = "This user signs in through an identity provider and needs no password."
LINK_VOID = "This link no longer works. Ask an account admin for a new one."


class TokenChecker(Protocol):
    """The generator that made the token of a link."""

    def check_token(self, user: User | None, token: str | None) -> bool: ...


def change_password(
    *, user: User, window: Window | None, password: str, client_info: ClientInfo
) -> None:
    """Set the password of a user who has just entered the current one.

    ``user`` has the hash that it was compared with. Raises `WindowClosed` for an enrolled user without
    an open window, and `UserError` if the password or the account has changed since.
    """
    with transaction.atomic():
        current = _lock_user(user)
        if not current.is_active or current.password != user.password:
            raise UserError(ACCOUNT_CHANGED)
        if not may_use_password(current):
            raise UserError(NO_PASSWORD)
        require_evidence_if_enrolled(user=current, window=window)
        _save_password(current, password, client_info, how="with the current one")


def set_password(
    *,
    user: User,
    token: str,
    password: str,
    client_info: ClientInfo,
    code: str = "",
    scope: ThrottleScope = UNKNOWN_BROWSER,
    tokens: TokenChecker = default_token_generator,
) -> VerificationResult | None:
    """Set the password of a user who opened a link, which stops working.

    ``tokens`` made the link's token: Django's for `invite_user`, its own for `request_reset_link`.

    Whoever holds a link to an enrolled user's account also needs a code: without a correct one nothing
    is set. Returns how the code was verified, None if none was needed. Raises `MalformedCode`, and
    `UserError` if the link's ``token`` no longer counts.
    """
    with transaction.atomic():
        user = _lock_user(user)
        is_valid = user.is_active and tokens.check_token(user, token)
        if not is_valid or not may_use_password(user):
            raise UserError(LINK_VOID)
        result = None
        if is_enrolled(user.pk):
            result = verify_any_code(user=user, code=code, scope=scope, client_info=client_info)
            if not result.ok:
                return result
            record_success(result, password_link=True)
        _save_password(user, password, client_info, how="through a link")
        return result


@dataclass(frozen=True)
class Invitation:
    """A link to set a password: sent by email, or handed over by the admin who created it."""

    emailed: bool
    link: str = field(default="", repr=False)


def invite_user(
    *, actor: User, window: Window | None, user: User, client_info: ClientInfo
) -> Invitation:
    """Send a user a link to set a password, or return it if no email is configured.

    It expires after ``PASSWORD_RESET_TIMEOUT`` and with the next password or sign-in. An emailed link
    is created while it is sent (`link_for_email`), because deliveries are stored.
    """
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        if not user.is_active:
            raise UserError("Reactivate the user before you create a password link.")
        if user.is_service:
            raise UserError("A service account has no password. Create an API token for it.")
        if not may_use_password(user):
            raise UserError(USES_SSO)
        return issue_link(actor=actor, user=user, client_info=client_info)


def request_reset_link(*, email: str, client_info: ClientInfo) -> None:
    """Email a link to set a new password, if the email is that of a local account.

    Nothing shows whether it is: for any other email the same is written, and the email to send is
    taken back in the same transaction. Neither single sign-on nor a directory is got around: their
    users get no link, nor does anybody without a password. Raises nothing.
    """
    with transaction.atomic():
        user = _local_user(email)
        recipient = user or User(pk=0, email=normalise_email(email))
        recent = Event.objects.about_target(recipient).filter(
            event=EventName.USER_REQUEST_PASSWORD_LINK, at__gt=timezone.now() - PERIOD
        )
        is_too_many = recent.count() >= MAX_EMAILS
        event = record(
            event=EventName.USER_REQUEST_PASSWORD_LINK,
            actor=None,
            actor_label=ANONYMOUS_LABEL,
            target=user,
            client_info=client_info,
        )
        with transaction.atomic():
            _send_reset_link(event, recipient, client_info)
            if user is None or is_too_many:
                transaction.set_rollback(True)


def void_password(*, actor: User, user: User, client_info: ClientInfo) -> Invitation | None:
    """Make a user's password and earlier links useless, and issue a link to set a new one.

    No link where single sign-on is enforced. The caller has checked the admin and ended the user's
    sessions in the same transaction.
    """
    user.set_unusable_password()
    user.save(update_fields=["password"])
    if not may_use_password(user):
        return None
    return issue_link(actor=actor, user=user, client_info=client_info)


def issue_link(*, actor: User, user: User, client_info: ClientInfo) -> Invitation:
    """Record a link to set a password, and email it or return it. The caller has checked the admin."""
    event = record(event=EventName.USER_INVITE, actor=actor, target=user, client_info=client_info)
    if settings.EMAIL_CONFIGURED:
        _send_link(event, user)
        return Invitation(emailed=True)
    return Invitation(emailed=False, link=link_to_set_password(user))


def link_for_email(user_id: int, since: datetime) -> str | None:
    """Return an admin's link for an email queued at ``since``, None if it should no longer work."""
    user = _still_without_password(user_id, since)
    return link_to_set_password(user) if user else None


def reset_link_for_email(user_id: int, since: datetime) -> str | None:
    """Return the link a user requested at ``since``, None if it should no longer work."""
    user = _still_without_password(user_id, since)
    if user is None or timezone.now() - since > RESET_LIFETIME:
        return None
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    return absolute_url("users:reset_password", uid, reset_token_generator.make_token(user))


def link_to_set_password(user: User) -> str:
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    token = default_token_generator.make_token(user)
    return absolute_url("users:set_password", uid, token)


def _still_without_password(user_id: int, since: datetime) -> User | None:
    """Return the user, None if deactivated, signed in since, or with another password since."""
    user = User.objects.active().filter(pk=user_id).first()
    if user is None or (user.last_login and user.last_login > since) or not may_use_password(user):
        return None
    changes = Event.objects.about_target(user).filter(event=EventName.USER_CHANGE_PASSWORD)
    return None if changes.filter(at__gt=since).exists() else user


def _local_user(email: str) -> User | None:
    """Return the user who may reset the password by email, with the same queries for any email."""
    users = User.objects.active().select_related("scim_user__directory")
    user = users.filter(email=normalise_email(email)).first()
    has_password = may_use_password(user or User(email=normalise_email(email)))
    if user is None or not has_password or not user.has_usable_password():
        return None
    return None if user.is_service or directory_of(user) else user


def _lock_user(user: User) -> User:
    """Return the user as stored now. No reset, deactivation or other new password comes in between."""
    lock_state(user.pk)
    return User.objects.get(pk=user.pk)


def _save_password(user: User, password: str, client_info: ClientInfo, *, how: str) -> None:
    with transaction.atomic():
        advance_epoch(user=user)
        user.set_password(password)
        user.save(update_fields=["password"])
        event = record(
            event=EventName.USER_CHANGE_PASSWORD,
            actor=user,
            target=user,
            client_info=client_info,
            metadata={"how": how},
        )
        emails.password_changed(event=event, user=user, client_info=client_info, how=how)


def _send_link(event: Event, user: User) -> None:
    context = {
        "recipient": user,
        "link": PLACEHOLDER,
        "hours": settings.PASSWORD_RESET_TIMEOUT // 3600,
        "portal_name": settings.PORTAL_NAME,
    }
    enqueue_email(
        event=event,
        recipient=user.email,
        subject=f"{settings.PORTAL_NAME}: set your password",
        body=render_to_string("users/email/invitation.txt", context),
        deferred=(PASSWORD_LINK, user.pk),
    )


def _send_reset_link(event: Event, recipient: User, client_info: ClientInfo) -> None:
    context = {
        "recipient": recipient,
        "link": PLACEHOLDER,
        "minutes": int(RESET_LIFETIME.total_seconds() // 60),
        "address": client_info.address,
        "portal_name": settings.PORTAL_NAME,
    }
    enqueue_email(
        event=event,
        recipient=recipient.email,
        subject=f"{settings.PORTAL_NAME}: reset your password",
        body=render_to_string("users/email/password_reset.txt", context),
        deferred=(RESET_LINK, recipient.pk),
    )
