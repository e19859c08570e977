"""Passwords: changed by their owner, or set through a link that works once.

Every change moves the person's epoch, so that other sessions end and no verified window survives.
"""

from django.conf import settings
from django.contrib.auth.tokens import default_token_generator
from django.core.mail import send_mail
from django.db import transaction
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from apono_portal.users.models import User
from audit.events import EventName
from audit.origin import Origin
from audit.services import record
from mfa.services import advance_epoch, require_admin_evidence
from mfa.window import Window


def change_password(*, user: User, password: str, origin: Origin) -> None:
    """Set the password of a person who has just proven the old one."""
    _write_password(user, password, origin, how="by its owner")


def set_password(*, user: User, password: str, origin: Origin) -> None:
    """Set the password of a person who came through a link (`invite_user`); the link is spent."""
    _write_password(user, password, origin, how="through a link")


def invite_user(*, actor: User, window: Window | None, user: User, origin: Origin) -> str:
    """Make a link to set a password; mail it and return "", or return it where no mail is set up.

    The link holds for ``PASSWORD_RESET_TIMEOUT`` and dies with the next password or sign-in.
    """
    with transaction.atomic():
        require_admin_evidence(actor=actor, window=window)
        link = _link_for(user)
        mailed = settings.MAIL_IS_SET_UP
        record(
            event=EventName.USER_INVITE,
            actor=actor,
            target=user,
            origin=origin,
            metadata={"by": "mail" if mailed else "hand"},
        )
        if mailed:
            transaction.on_commit(lambda: _mail(user, link))
    return "" if mailed else link


def _write_password(user: User, password: str, origin: Origin, *, how: str) -> None:
    with transaction.atomic():
        advance_epoch(user=user)
        user.set_password(password)
        user.save(update_fields=["password"])
        record(
            event=EventName.USER_CHANGE_PASSWORD,
            actor=user,
            target=user,
            origin=origin,
            metadata={"how": how},
        )


def _link_for(user: User) -> str:
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    token = default_token_generator.make_token(user)
    path = reverse("users:set_password", kwargs={"uidb64": uid, "token": token})
    return f"{settings.PORTAL_URL}{path}"


def _mail(user: User, link: str) -> None:
    send_mail(
        subject=f"Set your password for {settings.PORTAL_NAME}",
        message=(
            f"Hello {user.name},\n\n"
            f"an admin of {settings.PORTAL_NAME} asks you to set your password here:\n\n{link}\n\n"
            f"The link works once, for {settings.PASSWORD_RESET_TIMEOUT // 3600} hours. If you did not "
            "expect it, tell an admin.\n"
        ),
        from_email=None,
        recipient_list=[user.email],
    )
