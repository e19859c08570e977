"""The page of a user: for admins with actions, for auditors to read."""

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apono_portal.core.web.permissions import readers_only
from apono_portal.core.web.types import PortalRequest
from apono_portal.users.device_sessions import device_rows, this_device_id
from apono_portal.users.user_page import user_page, users_with_source


@require_safe
@readers_only
@never_cache
def detail(request: PortalRequest, pk: int) -> HttpResponse:
    user = get_object_or_404(users_with_source(), pk=pk)
    context = {
        "page": user_page(user, timezone.now()),
        "devices": device_rows(user, this=this_device_id(request)),
        "can_change": request.user.is_account_admin,
        "is_self": user == request.user,
    }
    return render(request, "users/detail.html", context)
