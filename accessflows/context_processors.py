"""The Set Up MFA banner."""

from typing import Any

from django.http import HttpRequest


def mfa_banner(request: HttpRequest) -> dict[str, Any]:
    return {"mfa_banner": None}
