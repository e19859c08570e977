"""What the navigation counts."""

from typing import Any

from django.http import HttpRequest


def navigation(request: HttpRequest) -> dict[str, Any]:
    return {"nav": {"my_requests_waiting": 0, "approvals_waiting": 0}}
