"""What lists of active access show of a grant, as plain values."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from apono_portal.core.formatting.durations import format_duration
from requests_app.grants.revocation import ENDABLE
from requests_app.grants.status import GrantStatus, grant_status
from requests_app.models import Decision, Grant, GrantState
from requests_app.presenters.request import EXPIRES_SOON


@dataclass(frozen=True)
class ActiveGrantRow:
    """A grant that is not contained yet. ``left`` is the time to its end, in whole minutes."""

    grant: Grant
    status: GrantStatus
    left: str
    is_ending: bool
    is_revocable: bool
    approvers: tuple[str, ...]

    @property
    def is_overdue(self) -> bool:
        return self.status.overdue_for is not None

    @property
    def is_active(self) -> bool:
        return self.status.code == GrantState.ACTIVE


def active_grant_row(grant: Grant, now: datetime) -> ActiveGrantRow:
    left = max(grant.deadline - now, timedelta(0))
    minutes = timedelta(minutes=-(-left // timedelta(minutes=1)))
    decisions = grant.request.decisions.all()
    approvals = [d for d in decisions if d.verdict == Decision.Verdict.APPROVE]
    return ActiveGrantRow(
        grant=grant,
        status=grant_status(grant, now),
        left=format_duration(minutes),
        is_ending=left <= EXPIRES_SOON,
        is_revocable=grant.request.status in ENDABLE,
        approvers=tuple(decision.approver_label for decision in approvals),
    )
