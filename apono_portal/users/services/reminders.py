"""Email reminders to users without MFA."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from accessflows.permissions import require_admin
from apono_portal.core.web.client import ClientInfo
from apono_portal.users.exceptions import UserError
from apono_portal.users.managers import UserQuerySet
from apono_portal.users.models import User
from audit.events import EventName
from audit.services import record
from mfa import emails
from mfa.methods.selectors import not_enrolled_condition
from mfa.verification.window import Window

MIN_INTERVAL = timedelta(days=1)
BATCH_SIZE = 500  # per call, so that the page stays quick


def send_mfa_reminders(
    *, actor: User, window: Window | None, client_info: ClientInfo
) -> tuple[int, bool]:
    """Email up to `BATCH_SIZE` active users without MFA who were not reminded within a day.

    Returns how many, and whether more are left. Users whom another admin is reminding right now are
    skipped.
    """
    if not settings.EMAIL_CONFIGURED:
        raise UserError("Email is not configured. Set EMAIL_URL to send reminders.")
    now = timezone.now()
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        due = _due(actor, now - MIN_INTERVAL).order_by("pk")
        if connection.features.has_select_for_update_skip_locked:
            due = due.select_for_update(of=("self",), skip_locked=True)
        users = list(due[:BATCH_SIZE])
        User.objects.filter(pk__in=[user.pk for user in users]).update(mfa_reminded_at=now)
        for user in users:
            event = record(
                event=EventName.MFA_REMIND, actor=actor, target=user, client_info=client_info
            )
            emails.reminded(event=event, user=user)
    return len(users), len(users) == BATCH_SIZE and _due(actor, now - MIN_INTERVAL).exists()


def _due(actor: User, reminded_before: datetime) -> UserQuerySet:
    """Return the users to remind, but for the actor, who sees the banner."""
    long_ago = Q(mfa_reminded_at=None) | Q(mfa_reminded_at__lt=reminded_before)
    return User.objects.active().filter(not_enrolled_condition(), long_ago).exclude(pk=actor.pk)
