"""Writing to the audit log."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

from django.db import IntegrityError, models, transaction

from apono_portal.core.web.client import SYSTEM, ClientInfo
from audit.events import EventName
from audit.models import Event, LogVerification

if TYPE_CHECKING:
    from apono_portal.users.models import User

SYSTEM_LABEL = "System"
ANONYMOUS_LABEL = "Anonymous"
MAX_LABEL_LENGTH = 320


class Referenced(Protocol):
    """An access request, as far as the log knows it."""

    @property
    def pk(self) -> int | None: ...
    @property
    def reference(self) -> str: ...
    @property
    def break_glass(self) -> bool: ...
    @property
    def by_agent(self) -> bool: ...


Metadata = dict[str, Any]
Entry = tuple[models.Model, Referenced, Metadata]


def record(
    *,
    event: EventName,
    actor: "User | None",
    target: models.Model | None = None,
    request: Referenced | None = None,
    client_info: ClientInfo = SYSTEM,
    metadata: Metadata | None = None,
    actor_label: str = SYSTEM_LABEL,
) -> Event:
    """Write one event, in the transaction of the write that it describes.

    ``actor`` is the user who acted; None is the portal itself, or whoever ``actor_label`` names.
    ``request`` is the access request concerned. ``metadata`` holds plain JSON values, never a secret.
    If the client used an API token, its id and name are added as ``token``.
    """
    new_event = _new_event(event, actor, target, request, client_info, metadata, actor_label)
    new_event.save(force_insert=True)
    return new_event


def record_many(
    *,
    event: EventName,
    actor: "User | None",
    entries: Iterable[Entry],
    client_info: ClientInfo = SYSTEM,
) -> list[Event]:
    """Write the same event for many targets, each with its request and metadata."""
    return Event.objects.bulk_create(
        _new_event(event, actor, target, request, client_info, metadata)
        for target, request, metadata in entries
    )


def record_export(
    *,
    actor: "User",
    what: str,
    file_format: str,
    filters: dict[str, str],
    rows: str,
    client_info: ClientInfo,
) -> Event:
    """Record that a user exports records, and which."""
    metadata = {"what": what, "format": file_format, "filters": filters, "rows": rows}
    return record(
        event=EventName.AUDIT_EXPORT, actor=actor, client_info=client_info, metadata=metadata
    )


def request_verification(*, actor: "User", client_info: ClientInfo) -> LogVerification:
    """Have a worker verify the whole log, or return the verification that is already open."""
    try:
        with transaction.atomic():
            verification = LogVerification.objects.create(
                requested_by_id=actor.pk,
                requested_by_label=_label(actor),
                address=client_info.address,
                user_agent=client_info.user_agent,
            )
            record(event=EventName.AUDIT_REQUEST_VERIFICATION, actor=actor, client_info=client_info)
    except IntegrityError:
        return LogVerification.objects.exclude(state=LogVerification.State.DONE).latest("pk")
    return verification


def _new_event(
    event: EventName,
    actor: "User | None",
    target: models.Model | None,
    request: Referenced | None,
    client_info: ClientInfo,
    metadata: Metadata | None,
    actor_label: str = SYSTEM_LABEL,
) -> Event:
    return Event(
        event=event,
        actor_id=actor.pk if actor else None,
        actor_label=_label(actor) if actor else actor_label,
        target_type=target._meta.label_lower if target else "",
        target_id=str(target.pk) if target else "",
        target_label=_label(target) if target else "",
        request_id=request.pk if request else None,
        request_label=request.reference if request else "",
        address=client_info.address,
        user_agent=client_info.user_agent,
        metadata={**(metadata or {}), **_marks(request), **_token_used(client_info)},
    )


def _marks(request: Referenced | None) -> Metadata:
    """Mark every event about break-glass access, and about what an AI agent requested.

    So they stand out in the log and its exports, whoever acted.
    """
    if request is None:
        return {}
    marks = {"break_glass": request.break_glass, "by_agent": request.by_agent}
    return {name: True for name, is_marked in marks.items() if is_marked}


def _token_used(client_info: ClientInfo) -> Metadata:
    token = client_info.token
    if token is None:
        return {}
    agent = {"agent": True} if token.is_agent else {}
    return {"token": {"id": token.id, "name": token.name, **agent}}


def _label(instance: models.Model) -> str:
    return str(instance)[:MAX_LABEL_LENGTH]
