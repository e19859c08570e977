"""Reminding people who have not set up MFA, by mail."""

from datetime import timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from accessflows.flows.mfa_requirement import enrolled
from accessflows.permissions import require_admin
from apono_portal.core.web.client import ClientInfo
from apono_portal.users.exceptions import PersonRefused
from apono_portal.users.managers import UserQuerySet
from apono_portal.users.models import User
from audit.events import EventName
from audit.services import record
from mfa import emails
from mfa.verification.window import Window

ONCE_IN = timedelta(days=1)
BATCH = 500  # of one click, so that the page answers


def remind_of_mfa(
    *, actor: User, window: Window | None, client_info: ClientInfo
) -> tuple[int, bool]:
    """Mail the active people without MFA who were not reminded within a day, up to `BATCH`.

    Returns how many were, and whether others are left for another click. Who is being reminded by
    somebody else at this moment is left out.
    """
    if not settings.MAIL_IS_SET_UP:
        raise PersonRefused("Mail is not set up (EMAIL_URL), so nobody can be reminded.")
    now = timezone.now()
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        due = _due(actor, now - ONCE_IN).order_by("pk")
        if connection.features.has_select_for_update_skip_locked:
            due = due.select_for_update(of=("self",), skip_locked=True)
        people = list(due[:BATCH])
        User.objects.filter(pk__in=[each.pk for each in people]).update(mfa_reminded_at=now)
        for person in people:
            event = record(
                event=EventName.MFA_REMIND, actor=actor, target=person, client_info=client_info
            )
            emails.reminded(event=event, user=person)
    return len(people), len(people) == BATCH and _due(actor, now - ONCE_IN).exists()


def _due(actor: User, reminded_before: object) -> UserQuerySet:
    """The actor sees the banner, and needs no mail from themselves."""
    long_ago = Q(mfa_reminded_at=None) | Q(mfa_reminded_at__lt=reminded_before)
    found: UserQuerySet = User.objects.active().filter(~enrolled(), long_ago).exclude(pk=actor.pk)
    return found
