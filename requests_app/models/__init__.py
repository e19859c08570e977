"""Access requests, the decisions on them, and the grants they lead to."""

from requests_app.models.decisions import Decision
from requests_app.models.drift import Drift, TargetScan
from requests_app.models.extensions import Extension
from requests_app.models.favorites import FavoriteFlow
from requests_app.models.grants import UNCONTAINED, Grant, GrantState
from requests_app.models.insights import DayFigures
from requests_app.models.requests import (
    LIVE,
    PENDING,
    UNFINISHED,
    AccessRequest,
    RequestedTarget,
    Status,
)
from requests_app.models.reviews import BreakGlassReview
from requests_app.models.submissions import Submission
from requests_app.models.workers import WorkerHeartbeat

__all__ = [
    "LIVE",
    "PENDING",
    "UNCONTAINED",
    "UNFINISHED",
    "AccessRequest",
    "BreakGlassReview",
    "DayFigures",
    "Decision",
    "Drift",
    "Extension",
    "FavoriteFlow",
    "Grant",
    "GrantState",
    "RequestedTarget",
    "Status",
    "Submission",
    "TargetScan",
    "WorkerHeartbeat",
]
