"""Security emails. They hold no secret and no link that acts."""

from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.auth import get_user_model
from django.template.loader import render_to_string
from django.utils import timezone

from apono_portal.core.web.client import SYSTEM, ClientInfo
from audit.models import Event
from audit.outbox.deliveries import enqueue_email
from mfa.models import RecoveryCode

if TYPE_CHECKING:
    from apono_portal.users.models import User
    from mfa.models import Passkey

NOT_YOU = "If this wasn't you, change your password and contact an account admin immediately."


def turned_on(*, event: Event, user: "User", client_info: ClientInfo) -> None:
    _send(
        user,
        event,
        "MFA was turned on",
        "An authenticator app was set up for your account. Requests that require MFA now ask for a code from it.",
        NOT_YOU,
        client_info=client_info,
    )


def method_added(*, event: Event, user: "User", name: str, client_info: ClientInfo) -> None:
    _send(
        user,
        event,
        "An authenticator app was added",
        f"The authenticator app “{name}” was added to your account.",
        NOT_YOU,
        client_info=client_info,
    )


def token_created(
    *, event: Event, user: "User", name: str, is_agent: bool, client_info: ClientInfo
) -> None:
    kind = "token for an AI agent" if is_agent else "API token"
    _send(
        user,
        event,
        f"{'A token for an AI agent' if is_agent else 'An API token'} was created",
        f"The {kind} “{name}” was created for your account. Whoever holds it can act for you, within "
        "its scopes, until it expires or you revoke it under Security & Privacy.",
        NOT_YOU,
        client_info=client_info,
    )


def method_removed(*, event: Event, user: "User", name: str, client_info: ClientInfo) -> None:
    _send(
        user,
        event,
        "An MFA method was removed",
        f"“{name}” was removed from your account and no longer works.",
        NOT_YOU,
        client_info=client_info,
    )


def passkey_added(
    *, event: Event, user: "User", passkey: "Passkey", client_info: ClientInfo
) -> None:
    _send(
        user,
        event,
        "A passkey was added",
        f"The passkey “{passkey.name}” was added to your account. From "
        f"{timezone.localtime(passkey.counts_from):%-d %B %Y, %H:%M} it can be used for access that requires a passkey.",
        NOT_YOU,
        client_info=client_info,
    )


def passkey_vouched_for(*, event: Event, user: "User", passkey: "Passkey", by: str) -> None:
    _send(
        user,
        event,
        "Your new passkey is accepted now",
        f"{by} vouched for your passkey “{passkey.name}”. It can now be used for access that requires a passkey.",
        NOT_YOU,
    )


def passkey_suspected(*, event: Event, user: "User", passkey: "Passkey") -> None:
    """Notify the user and the account admins that a passkey may have a copy."""
    what = (
        f"The passkey “{passkey.name}” was refused: its counter did not increase, so someone may have "
        "a copy of it."
    )
    _send(user, event, "A passkey was refused", what, "Remove it and add a new one. " + NOT_YOU)
    for admin in _other_admins(user):
        _send(admin, event, f"{user.name}'s passkey was refused", f"{user}: {what}")


def reset(
    *, event: Event, user: "User", by: str, reason: str, require_new_password: bool = False
) -> None:
    """Notify the user, and the other admins when the user is an account admin."""
    what = f"MFA was reset by {by}. Reason: {reason}"
    first = "Sign in"
    if require_new_password:
        what += " Your password no longer works."
        first = "Set a new password with the link you receive, sign in"
    _send(
        user,
        event,
        "Your MFA was reset",
        what,
        f"You were signed out everywhere. {first} and set up MFA again under Security & Privacy.",
        NOT_YOU,
    )
    if user.is_account_admin:
        for admin in _other_admins(user):
            _send(
                admin, event, f"MFA was reset for {user.name}", f"{user} is an account admin.", what
            )


def reminded(*, event: Event, user: "User") -> None:
    """Remind a user to set up MFA, on behalf of an account admin."""
    _send(
        user,
        event,
        "Set up MFA",
        "You have not set up multi-factor authentication (MFA) yet. Until you do, your requests for "
        "protected access stay pending.",
        "Sign in, open Security & Privacy, and choose Set up. It takes about two minutes and works "
        "with any authenticator app.",
    )


def five_failures(*, event: Event, user: "User", client_info: ClientInfo) -> None:
    _send(
        user,
        event,
        "Five incorrect codes in a row",
        "Five incorrect codes were entered in one of your sessions. That session was ended.",
        "Whoever entered them had signed in with your password. " + NOT_YOU,
        client_info=client_info,
    )


def month_limit_reached(*, event: Event, user: "User", is_trusted_browser: bool) -> None:
    where = "in one of your trusted browsers" if is_trusted_browser else "in new browsers"
    _send(
        user,
        event,
        "You are locked out",
        f"100 incorrect codes were entered within 30 days {where}. No code is accepted there until "
        "the 30 days are over or an account admin lifts the lockout.",
        "Someone may know your password. Change it and contact an account admin.",
    )
    for admin in _other_admins(user):
        _send(
            admin,
            event,
            f"{user.name} is locked out",
            f"100 incorrect codes were entered for {user} within 30 days. Someone may know this "
            "user's password. Have it changed first, then lift the lockout under MFA Lockouts.",
        )


def lockout_lifted(*, event: Event, user: "User", by: str, reason: str) -> None:
    _send(
        user,
        event,
        "You are no longer locked out",
        f"{by} lifted the lockout after 100 incorrect codes. Reason: {reason}",
        NOT_YOU,
    )


def recovery_codes_made(*, event: Event, user: "User", client_info: ClientInfo) -> None:
    _send(
        user,
        event,
        "New recovery codes",
        "Ten new recovery codes were generated for your account. The old ones no longer work.",
        NOT_YOU,
        client_info=client_info,
    )


def recovery_code_used(
    *, event: Event, user: "User", client_info: ClientInfo, codes_left: int
) -> None:
    few = codes_left <= RecoveryCode.FEW
    generate = "Generate new ones under Security & Privacy before you run out."
    _send(
        user,
        event,
        f"A recovery code was used, {codes_left} left" if few else "A recovery code was used",
        "One of your recovery codes was used in place of your authenticator app or passkey. "
        f"Codes left: {codes_left}.",
        *([generate] if few else []),
        NOT_YOU,
        client_info=client_info,
    )


def email_changed(*, event: Event, user: "User", former: str, by: str) -> None:
    """Notify the user at the former address: whoever has the new one need not be the same."""
    _send(
        user,
        event,
        "Your email was changed",
        f"The directory {by} changed the email of your account from {former} to {user.email}.",
        "If you did not expect this, contact an account admin immediately.",
        recipient=former,
    )


def password_changed(*, event: Event, user: "User", client_info: ClientInfo, how: str) -> None:
    _send(
        user,
        event,
        "Your password was changed",
        f"Your password was changed {how}. You were signed out everywhere else.",
        "If this wasn't you, contact an account admin immediately: someone else may control your account.",
        client_info=client_info,
    )


def new_browser(*, event: Event, user: "User", client_info: ClientInfo, provider: str = "") -> None:
    """Notify the user of a sign-in with the password, or through an identity provider."""
    what = f"Your account at {provider}" if provider else "Your password"
    if_not_you = f"If this wasn't you, contact an account admin and whoever runs {provider}."
    _send(
        user,
        event,
        "Sign-in from a new browser",
        f"{what} was used to sign in from a browser that is new to your account.",
        if_not_you if provider else NOT_YOU,
        client_info=client_info,
    )


def provider_connected(
    *, event: Event, user: "User", client_info: ClientInfo, provider: str
) -> None:
    _send(
        user,
        event,
        "Single sign-on was connected",
        f"Your account can now be used through {provider}.",
        NOT_YOU,
        client_info=client_info,
    )


def break_glass_sign_in(*, event: Event, user: "User", client_info: ClientInfo) -> None:
    """Alarm all admins, the one who signed in among them."""
    for admin in get_user_model().objects.account_admins():
        _send(
            admin,
            event,
            "Break-glass sign-in",
            f"The break-glass admin {user} signed in with a password.",
            "If nobody announced this, end the session: deactivate the account under Users.",
            client_info=client_info,
        )


def _send(
    user: "User",
    event: Event,
    subject: str,
    *paragraphs: str,
    client_info: ClientInfo = SYSTEM,
    recipient: str = "",
) -> None:
    body = render_to_string(
        "mfa/email/notification.txt",
        {
            "person": user,
            "paragraphs": paragraphs,
            "at": timezone.localtime(event.at),
            "address": client_info.address,
            "browser": client_info.user_agent,
            "portal_name": settings.PORTAL_NAME,
            "portal_url": settings.PORTAL_URL,
        },
    )
    enqueue_email(
        event=event,
        recipient=recipient or user.email,
        subject=f"{settings.PORTAL_NAME}: {subject}",
        body=body,
    )


def _other_admins(user: "User") -> list["User"]:
    return list(get_user_model().objects.account_admins().exclude(pk=user.pk))
