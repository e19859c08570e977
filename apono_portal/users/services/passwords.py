"""Passwords: changed by their owner, or set through a link that works once.

Every change moves the person's epoch, so that other sessions end and no verified window survives.
"""

import logging
from dataclasses import dataclass, field
from smtplib import SMTPException

from django.conf import settings
from django.contrib.auth.tokens import default_token_generator
from django.core.mail import send_mail
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from accessflows.authority import require_admin
from apono_portal.users.exceptions import PersonRefused
from apono_portal.users.models import User
from audit.events import EventName
from audit.origin import Origin
from audit.services import record
from mfa.services import advance_epoch
from mfa.window import Window

logger = logging.getLogger(__name__)


def change_password(*, user: User, password: str, origin: Origin) -> None:
    """Set the password of a person who has just proven the old one."""
    _write_password(user, password, origin, how="by its owner")


def set_password(*, user: User, password: str, origin: Origin) -> None:
    """Set the password of a person who came through a link (`invite_user`); the link is spent."""
    _write_password(user, password, origin, how="through a link")


@dataclass(frozen=True)
class Invitation:
    """A link to set a password: mailed, or to be handed over by the admin who made it."""

    mailed: bool
    link: str = field(repr=False)


def invite_user(*, actor: User, window: Window | None, user: User, origin: Origin) -> Invitation:
    """Make a link to set a password and mail it; without mail the admin hands it over.

    It holds for ``PASSWORD_RESET_TIMEOUT`` and dies with the next password or sign-in. It is mailed
    here and not by a delivery, because a delivery would keep it.
    """
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        if not user.is_active:
            raise PersonRefused("Activate the person first: nobody else sets a password.")
        record(event=EventName.USER_INVITE, actor=actor, target=user, origin=origin)
        link = link_to_set_password(user)
    return Invitation(mailed=settings.MAIL_IS_SET_UP and _mail(user, link), link=link)


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


def link_to_set_password(user: User) -> str:
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    token = default_token_generator.make_token(user)
    path = reverse("users:set_password", kwargs={"uidb64": uid, "token": token})
    return f"{settings.PORTAL_URL}{path}"


def _mail(user: User, link: str) -> bool:
    hours = settings.PASSWORD_RESET_TIMEOUT // 3600
    context = {
        "person": user,
        "link": link,
        "hours": hours,
        "portal_name": settings.PORTAL_NAME,
    }
    subject = f"{settings.PORTAL_NAME}: set your password"
    body = render_to_string("users/mail/invitation.txt", context)
    try:
        return bool(send_mail(subject, body, None, [user.email]))
    except (OSError, SMTPException) as error:
        logger.warning("An invitation was not taken by the mail server (%s).", type(error).__name__)
        return False
