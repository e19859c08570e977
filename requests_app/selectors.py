"""What the pages of a user's own access and requests read."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Exists, OuterRef

from apono_portal.core.formatting.login_names import grant_id_of
from audit.events import EventName
from audit.models import Event
from requests_app.models import LIVE, PENDING, AccessRequest, Grant, Status

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from apono_portal.users.models import User
    from requests_app.querysets import AccessRequestQuerySet

IN_USE = (Status.ACTIVE, Status.REVOKING)
IN_TRANSITION = (Status.GRANTING, Status.REVOKING)
MAX_RECENT = 5
MAX_EVENTS = 200


@dataclass(frozen=True)
class AccessOverview:
    """A user's access by section of My Access; ``active`` has what expires next first."""

    active: list[AccessRequest]
    pending: list[AccessRequest]
    recent: list[AccessRequest]


def access_overview(user: "User") -> AccessOverview:
    own = own_requests(user)
    unfinished = own.filter(status__in=[*PENDING, *LIVE]).prefetch_related("grants")
    active = [request for request in unfinished if request.status in IN_USE]
    return AccessOverview(
        active=sorted(active, key=_next_to_expire),
        pending=[request for request in unfinished if request.status not in IN_USE],
        recent=list(own.exclude(status__in=[*PENDING, *LIVE])[:MAX_RECENT]),
    )


def _next_to_expire(request: AccessRequest) -> tuple[bool, float, int]:
    """Return a sort key; access revoked before it was active has no end and comes last."""
    ends_at = request.ends_at
    return ends_at is None, ends_at.timestamp() if ends_at else 0, request.pk


def own_requests(user: "User") -> "AccessRequestQuerySet":
    return AccessRequest.objects.of(user).prefetch_related("targets")


def with_pending_mfa(users: "QuerySet[User]") -> "QuerySet[User]":
    """Annotate users with whether they have requests pending MFA, for `pending_mfa_requests`."""
    pending = AccessRequest.objects.pending_mfa().filter(requester=OuterRef("pk"))
    return users.annotate(has_pending_mfa=Exists(pending))


def pending_mfa_requests(user: "User") -> list[AccessRequest]:
    """Return the user's requests pending MFA, oldest first.

    Every page needs them, and most users have none, as the user of a request tells.
    """
    if not getattr(user, "has_pending_mfa", True):
        return []
    return list(AccessRequest.objects.waiting_for_code_of(user).order_by("pk"))


def names_of(requests: Iterable[AccessRequest]) -> list[str]:
    """Return what the MFA banner calls requests: reference and access flow."""
    return [f"{request.reference} {request.flow_name}" for request in requests]


def request_details(user: "User", pk: int) -> AccessRequest | None:
    """Return a request with all that its page shows, None if the user may not see it."""
    requests = AccessRequest.objects.visible_to(user).prefetch_related(
        "targets", "decisions", "extensions", "grants__integration", "grants__drifts"
    )
    return requests.filter(pk=pk).first()


def grant_of_login(user: "User", login: str) -> Grant | None:
    """Return the grant of a login, None if the user may not see it: approvers see requests only."""
    grant_id = grant_id_of(login)
    if grant_id is None:
        return None
    grants = Grant.objects.select_related("request").prefetch_related("request__decisions")
    if not user.can_read_everything:
        grants = grants.filter(request__requester=user)
    return grants.filter(pk=grant_id).first()


def sessions_ended_with(grant: Grant) -> int | None:
    """Return how many open sessions were terminated at the end of a grant, None before it."""
    contained = Event.objects.about_target(grant).filter(event=EventName.GRANT_CONTAIN).first()
    return contained.metadata.get("sessions_terminated") if contained else None


def events_of(request: AccessRequest) -> list[Event]:
    """Return the audit events about a request, newest first."""
    return list(Event.objects.about_request(request.pk).order_by("-pk")[:MAX_EVENTS])
