"""What every page of admins and auditors names."""

from django.http import HttpRequest
from django.utils import timezone

from apono_portal.status.problems import Problem, current_problems


def problems(request: HttpRequest) -> dict[str, list[Problem]]:
    """Return what needs a person, for those who may read everything."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated or not user.can_read_everything:
        return {"problems": []}
    read = getattr(request, "problems", None)  # by the view already
    return {"problems": current_problems(timezone.now()) if read is None else read}
