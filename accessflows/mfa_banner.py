"""The Set Up MFA banner: shown where access flows and enrolment meet."""

from typing import Any

from django.http import HttpRequest

from accessflows.models import AccessFlow


def mfa_banner(request: HttpRequest) -> dict[str, Any]:
    """Return the banner for everybody signed in who has not enrolled, once a flow requires MFA."""
    state = getattr(request, "mfa", None)
    user = getattr(request, "user", None)
    if state is None or user is None or not user.is_authenticated or state.enrolled:
        return {"mfa_banner": None}
    needed = AccessFlow.objects.active().requiring_mfa().exists()
    return {"mfa_banner": {"kind": "set_up", "parked_label": ""} if needed else None}
