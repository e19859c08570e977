"""Every write of access flows and integrations."""

from accessflows.services.canaries import request_canary
from accessflows.services.checks import check_integration, request_check
from accessflows.services.flows import FlowChange, change_flow, create_flow, set_flow_active
from accessflows.services.integrations import (
    change_integration,
    create_integration,
    replace_secret,
    set_integration_active,
)

__all__ = [
    "FlowChange",
    "change_flow",
    "change_integration",
    "check_integration",
    "create_flow",
    "create_integration",
    "replace_secret",
    "request_canary",
    "request_check",
    "set_flow_active",
    "set_integration_active",
]
