"""What the Activity page lists: requests by filters, newest first."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, OuterRef, Prefetch, Q

from accessflows.models import AccessFlow, Integration
from apono_portal.core.formatting.login_names import grant_id_of
from requests_app.models import AccessRequest, Decision, RequestedTarget
from requests_app.querysets import AccessRequestQuerySet

MAX_NAMES = 200


@dataclass(frozen=True)
class ActivityFilters:
    """Which requests are listed. Empty fields do not filter."""

    since: datetime | None = None
    until: datetime | None = None
    requester: str = ""
    flow: str = ""
    integration: str = ""
    permission: str = ""
    status: str = ""
    mfa: str = ""
    break_glass: str = ""
    request_id: int | None = None
    login: str = ""
    user_id: int | None = None


def filter_requests(filters: ActivityFilters) -> AccessRequestQuerySet:
    """Return the requests that match. Names are compared with the snapshots, which history keeps."""
    requests = AccessRequest.objects.filter(_request_conditions(filters))
    if filters.user_id is not None:
        requests = requests.filter(requester=filters.user_id)
    target = Q(request=OuterRef("pk"))
    if filters.integration:
        target &= Q(integration_name__icontains=filters.integration)
    if filters.permission:
        target &= Q(permission__icontains=filters.permission) | Q(
            resource__icontains=filters.permission
        )
    if filters.integration or filters.permission:
        requests = requests.filter(Exists(RequestedTarget.objects.filter(target)))
    return requests


def _request_conditions(filters: ActivityFilters) -> Q:
    conditions = Q()
    for word in filters.requester.split():
        conditions &= Q(requester_label__icontains=word)
    if filters.since:
        conditions &= Q(created_at__gte=filters.since)
    if filters.until:
        conditions &= Q(created_at__lt=filters.until)
    if filters.break_glass:
        conditions &= Q(break_glass=True)
    if filters.break_glass == "to_review":
        conditions &= Q(reviewed_at__isnull=True, starts_at__isnull=False)
    if filters.flow:
        conditions &= Q(flow_name__icontains=filters.flow)
    if filters.status:
        conditions &= Q(status=filters.status)
    if filters.request_id is not None:
        conditions &= Q(pk=filters.request_id)
    if filters.login:
        conditions &= Q(grants=grant_id_of(filters.login))
    return conditions & {
        "verified": Q(verified_at__isnull=False),
        "missing": Q(require_mfa=True, verified_at=None),
        "not_required": Q(require_mfa=False),
    }.get(filters.mfa, Q())


def with_decisions(requests: AccessRequestQuerySet) -> AccessRequestQuerySet:
    """Prefetch targets, and decisions with the verification each was made with."""
    decisions = Prefetch("decisions", queryset=Decision.objects.select_related("verification"))
    return requests.prefetch_related("targets", decisions)


def names_to_suggest() -> dict[str, list[str]]:
    """Return names of flows and of integrations to suggest in the filters."""
    flows = AccessFlow.objects.order_by("name").values_list("name", flat=True)
    integrations = Integration.objects.order_by("name").values_list("name", flat=True)
    return {"flows": list(flows[:MAX_NAMES]), "integrations": list(integrations[:MAX_NAMES])}
