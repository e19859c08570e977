"""What a restore ends, so that nothing comes back that ended after the backup.

For everybody: sessions, verified windows, tokens, links, and approved access that no target has yet. Where
the previous database can be read, what was taken away there stays taken away.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX, make_password
from django.contrib.sessions.models import Session
from django.db import models
from django.db.models import F
from django.utils import timezone

from accessflows.dual_control.services import expire_changes
from accessflows.models import ProposedChange
from apono_portal.backup.comparison import PREVIOUS
from apono_portal.core.web.client import SYSTEM
from apono_portal.notifications.models import ReadPosition
from apono_portal.scim.models import ScimToken
from apono_portal.sso.models import ProviderSession
from apono_portal.users.exceptions import UserError
from apono_portal.users.models import DeactivatedBy, SignedInDevice, User
from apono_portal.users.services.users import end_account
from audit.integrity.chain import chain_end
from audit.models import Delivery
from mfa.models import Authenticator, MfaState, Passkey, PasskeyChallenge, RecoveryCode
from requests_app.grants.revocation import revoke_or_cancel_all
from requests_app.lifecycle import BATCH_SIZE, lock_requests
from requests_app.models import UNFINISHED, AccessRequest, Status

EPOCH_STEP = 1000  # more than anybody's epoch advances between two backups
CHUNK_SIZE = 2000
ENDED = "The portal was restored from a backup. Request access again."
NOT_SENT = "The portal was restored from a backup. This may have been sent before."
DEACTIVATED = "The user was deactivated after the backup that was restored."


def end_sessions() -> int:
    """End every session, window, API and directory token, and pending set-up. Return how many users have."""
    for model in (Session, ProviderSession, SignedInDevice, PasskeyChallenge):
        model._default_manager.all().delete()
    Authenticator.objects.awaiting_confirmation().delete()
    ScimToken.objects.filter(revoked_at=None).update(revoked_at=timezone.now())
    without = User.objects.filter(mfa_state=None).values_list("pk", flat=True)
    for pks in _chunks(without):
        MfaState.objects.bulk_create(MfaState(user_id=pk) for pk in pks)
    return MfaState.objects.update(epoch=F("epoch") + EPOCH_STEP)


def expire_proposals() -> int:
    """End the changes that wait for a second admin: some may have been rejected since."""
    number = ProposedChange.objects.filter(state=ProposedChange.State.PENDING).count()
    expire_changes(now=timezone.now() + ProposedChange.LIFETIME)
    return number


def void_passwords(*, only_changed: bool, keep: bool) -> int:
    """Make passwords useless: those changed since the backup, or all where that is not known."""
    usable = User.objects.exclude(password__startswith=UNUSABLE_PASSWORD_PREFIX)
    if only_changed:
        pks = list(_changed(usable, "password"))
    else:
        pks = [] if keep else list(usable.values_list("pk", flat=True))
    return User.objects.filter(pk__in=pks).update(password=make_password(None))


def withdraw_deliveries() -> int:
    """Send nothing that may have been sent before: neither deliveries, nor what events would lead to."""
    end = chain_end().position
    ReadPosition.objects.update_or_create(pk=ReadPosition.ONLY, defaults={"position": end})
    waiting = Delivery.objects.waiting()
    return waiting.update(state=Delivery.State.WITHDRAWN, last_error=NOT_SENT)


def end_requests(*, compares: bool) -> int:
    """Cancel or revoke what is approved but not active, and what was over in the previous database."""
    pks = set(AccessRequest.objects.filter(status=Status.GRANTING).values_list("pk", flat=True))
    if compares:
        unfinished = AccessRequest.objects.filter(status__in=UNFINISHED)
        going_on = AccessRequest.objects.using(PREVIOUS).filter(status__in=UNFINISHED)
        pks |= set(unfinished.values_list("pk", flat=True)) - set(
            going_on.values_list("pk", flat=True)
        )
    ordered = sorted(pks)
    for first in range(0, len(ordered), BATCH_SIZE):
        requests = lock_requests(ordered[first : first + BATCH_SIZE])
        revoke_or_cancel_all(
            requests=requests.values(), actor=None, client_info=SYSTEM, reason=ENDED
        )
    return len(ordered)


def remove_methods() -> int:
    """Remove authenticators, passkeys and recovery codes that the previous database does not have."""
    removed = 0
    managers: list[models.Manager[Any]] = [
        Authenticator._default_manager,
        Passkey._default_manager,
        RecoveryCode._default_manager,
    ]
    for rows in managers:
        gone = list(_changed(rows.all(), "user_id"))
        removed += rows.filter(pk__in=gone).delete()[0]
    return removed


def deactivate_users() -> int:
    """Deactivate users who were deactivated or deleted after the backup."""
    deactivated = 0
    active = User.objects.filter(is_active=True)
    for user in User.objects.filter(pk__in=list(_changed(active, "is_active"))):
        before = User.objects.using(PREVIOUS).filter(pk=user.pk).first()
        by = DeactivatedBy(before.deactivated_by) if before and before.deactivated_by else None
        try:
            deactivated += end_account(
                user=user,
                by=by or DeactivatedBy.ADMIN,
                actor=None,
                client_info=SYSTEM,
                reason=DEACTIVATED,
            )
        except UserError:  # the last admin, without whom nobody could repair anything
            continue
    return deactivated


def _changed(rows: "models.QuerySet[Any]", field: str) -> Iterator[int]:
    """Yield the keys of rows that the previous database has otherwise, or not at all."""
    for chunk in _chunks(rows.values_list("pk", field)):
        pks = [pk for pk, _ in chunk]
        others = rows.model._default_manager.using(PREVIOUS).filter(pk__in=pks)
        before: Mapping[int, object] = dict(others.values_list("pk", field))
        yield from (pk for pk, value in chunk if before.get(pk) != value)


def _chunks(rows: "models.QuerySet[Any, Any]") -> Iterator[list[Any]]:
    ordered = rows.order_by("pk")
    chunk = list(ordered[:CHUNK_SIZE])
    while chunk:
        yield chunk
        last = chunk[-1] if isinstance(chunk[-1], int) else chunk[-1][0]
        chunk = list(ordered.filter(pk__gt=last)[:CHUNK_SIZE])
