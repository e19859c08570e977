"""Security notices by mail. They tell; they hold no secret and no link that acts."""

from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.template.loader import render_to_string
from django.utils import timezone

from apono_portal.core.web.client import SYSTEM, ClientInfo
from audit.models import Event
from audit.outbox.deliveries import enqueue_email

NOT_YOU = "If this was not you, change your password and tell an account admin at once."


def set_up(*, event: Event, user: Any, client_info: ClientInfo) -> None:
    _tell(
        user,
        event,
        "MFA was turned on",
        "An authenticator app was set up for your account. Requests that need MFA now ask for its codes.",
        NOT_YOU,
        client_info=client_info,
    )


def reset(*, event: Event, user: Any, by: str, reason: str) -> None:
    """Tell the person, and when it is an account admin, the other admins too."""
    what = f"MFA was reset by {by}. The reason given: {reason}"
    _tell(
        user,
        event,
        "Your MFA was reset",
        what,
        "All your sessions were ended. Sign in and set MFA up again under Security & Privacy.",
        NOT_YOU,
    )
    if user.is_account_admin:
        for admin in _other_admins(user):
            _tell(
                admin, event, f"MFA of {user.name} was reset", f"{user} is an account admin.", what
            )


def reminded(*, event: Event, user: Any) -> None:
    """Ask a person to set up MFA, because an account admin had it done."""
    _tell(
        user,
        event,
        "Set up MFA",
        "You have not set up multi-factor authentication (MFA) yet. Requests for protected access "
        "wait until you have.",
        "Sign in, open Security & Privacy, and choose Set up. It takes about two minutes and any "
        "authenticator app.",
    )


def five_failures(*, event: Event, user: Any, client_info: ClientInfo) -> None:
    _tell(
        user,
        event,
        "Five codes in a row did not match",
        "Five codes in a row did not match in one of your sessions. That session was ended.",
        "Whoever entered them had signed in with your password. " + NOT_YOU,
        client_info=client_info,
    )


def month_limit_reached(*, event: Event, user: Any, known_browser: bool) -> None:
    place = "in one of your known browsers" if known_browser else "in browsers new to your account"
    _tell(
        user,
        event,
        "Your codes are held off",
        f"A hundred codes did not match within 30 days {place}, so none is taken there until "
        "these 30 days are over or an account admin lifts the limit.",
        "Somebody may have your password. Change it, and tell an account admin.",
    )
    for admin in _other_admins(user):
        _tell(
            admin,
            event,
            f"Codes of {user.name} are held off",
            f"A hundred codes of {user} did not match within 30 days. Somebody may have that "
            "person's password. The page MFA Holds shows it; have the password changed first.",
        )


def hold_lifted(*, event: Event, user: Any, by: str, reason: str) -> None:
    _tell(
        user,
        event,
        "Your codes are taken again",
        f"{by} lifted the 30-day limit of codes. The reason given: {reason}",
        NOT_YOU,
    )


def recovery_codes_made(*, event: Event, user: Any, client_info: ClientInfo) -> None:
    _tell(
        user,
        event,
        "New recovery codes were made",
        "Ten new recovery codes were made for your account. The old ones no longer work.",
        NOT_YOU,
        client_info=client_info,
    )


def recovery_code_used(*, event: Event, user: Any, client_info: ClientInfo, left: int) -> None:
    _tell(
        user,
        event,
        "A recovery code was used",
        f"One of your recovery codes was used in place of your authenticator app. {left} are left.",
        NOT_YOU,
        client_info=client_info,
    )


def password_changed(*, event: Event, user: Any, client_info: ClientInfo, how: str) -> None:
    _tell(
        user,
        event,
        "Your password was changed",
        f"Your password was changed {how}. Your other sessions were ended.",
        "If this was not you, tell an account admin at once: somebody else has your account.",
        client_info=client_info,
    )


def new_browser(*, event: Event, user: Any, client_info: ClientInfo) -> None:
    _tell(
        user,
        event,
        "Sign-in from a new browser",
        "Your password was used to sign in from a browser in which you have not signed in before.",
        NOT_YOU,
        client_info=client_info,
    )


def _tell(
    person: Any, event: Event, subject: str, *paragraphs: str, client_info: ClientInfo = SYSTEM
) -> None:
    body = render_to_string(
        "mfa/email/notification.txt",
        {
            "person": person,
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
        recipient=person.email,
        subject=f"{settings.PORTAL_NAME}: {subject}",
        body=body,
    )


def _other_admins(user: Any) -> list[Any]:
    people: Any = get_user_model()._default_manager
    return list(people.account_admins().exclude(pk=user.pk))
