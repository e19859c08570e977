"""Download my data."""

from django.http import HttpResponseBase
from django.views.decorators.http import require_POST

from apono_portal.core.web.client import ClientInfo
from apono_portal.core.web.types import PortalRequest
from apono_portal.personal_data.document import document_of
from audit.log.export import download
from audit.services import record_export


@require_POST
def download_my_data(request: PortalRequest) -> HttpResponseBase:
    """Stream what the portal has about the user, and record it."""
    record_export(
        actor=request.user,
        what="own data",
        file_format="json",
        filters={},
        rows="all",
        client_info=ClientInfo.of(request),
    )
    return download(document_of(request.user), name="my-data", file_format="json")
