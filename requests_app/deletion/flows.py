"""Deletion of access flows, and what depends on a flow."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from django.db import transaction
from django.db.models import Count, Q

from accessflows.flows.fingerprint import compute_fingerprint, terms_of
from accessflows.models import AccessFlow
from accessflows.permissions import require_admin, require_unmanaged
from apono_portal.core.web.client import ClientInfo
from audit.events import EventName
from audit.services import record
from mfa.verification.window import Window
from requests_app.exceptions import RequestRefused
from requests_app.lifecycle import sign_request
from requests_app.models import PENDING, UNFINISHED, AccessRequest, Status
from requests_app.submission.validation import clean_reason

if TYPE_CHECKING:
    from apono_portal.users.models import User

MAX_LISTED_REQUESTS = 10


class FlowUsage(NamedTuple):
    """Requests through a flow by status, and the number of users with access."""

    pending: int
    granting: int
    active: int
    revoking: int
    requesters: int

    @property
    def live(self) -> int:
        return self.granting + self.active


def flow_usage(flow: AccessFlow) -> FlowUsage:
    granted = Q(status__in=[Status.GRANTING, Status.ACTIVE])
    counts = AccessRequest.objects.filter(flow=flow).aggregate(
        pending=Count("pk", filter=Q(status__in=PENDING)),
        granting=Count("pk", filter=Q(status=Status.GRANTING)),
        active=Count("pk", filter=Q(status=Status.ACTIVE)),
        revoking=Count("pk", filter=Q(status=Status.REVOKING)),
        requesters=Count("requester", filter=granted, distinct=True),
    )
    return FlowUsage(**counts)


@dataclass(frozen=True)
class VoidedRequests:
    """The first requests that a change of a flow would void, and the number of all."""

    first: tuple[AccessRequest, ...]
    count: int

    @property
    def more(self) -> int:
        return self.count - len(self.first)


def requests_voided_by(flow: AccessFlow, fingerprint: str) -> VoidedRequests:
    """Return the requests not yet granted that a new fingerprint of the flow would void."""
    current = compute_fingerprint(flow)
    if current == fingerprint:
        return VoidedRequests((), 0)
    requests = AccessRequest.objects.filter(
        Q(status__in=PENDING) | Q(status=Status.GRANTING, grants=None),
        flow=flow,
        flow_fingerprint=current,
    ).order_by("pk")
    return VoidedRequests(tuple(requests[:MAX_LISTED_REQUESTS]), requests.count())


def delete_flow(
    *, actor: "User", window: Window | None, flow: AccessFlow, reason: str, client_info: ClientInfo
) -> FlowUsage:
    """Delete a flow, and return its usage.

    Its pending requests go no further, and the worker revokes its access
    (`revocation.revoke_ineligible`), for which a grant does not need the flow. Requests keep their
    snapshots and the flow its versions.
    """
    reason = clean_reason(reason, required=True)
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        locked = AccessFlow.objects.select_for_update().filter(pk=flow.pk).first()
        if locked is None:
            raise RequestRefused("This access flow has already been deleted.")
        require_unmanaged(locked)
        usage = flow_usage(locked)
        record(
            event=EventName.FLOW_DELETE,
            actor=actor,
            target=locked,
            client_info=client_info,
            metadata={
                "reason": reason,
                "version": locked.version,
                "terms": terms_of(locked),
                "requests": {
                    "pending": usage.pending,
                    "granting": usage.granting,
                    "active": usage.active,
                },
            },
        )
        _detach_requests(locked)
        locked.delete()
    return usage


def _detach_requests(flow: AccessFlow) -> None:
    """Sign the flow's unfinished requests without it, so that its absence is no sign of tampering."""
    unfinished = AccessRequest.objects.filter(flow=flow, status__in=UNFINISHED)
    for request in unfinished.select_for_update(of=("self",)).order_by("pk"):
        if request.is_authentic:
            request.flow = None
            sign_request(request)
