"""URLs of the portal. docs/mission.md describes the pages."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path

from apono_portal import health, views
from apono_portal.personal_data.views import download_my_data
from apono_portal.users.views import sign_out

urlpatterns = [
    path("", include("requests_app.urls")),
    path("", include("mfa.urls")),
    path("", include("apono_portal.users.urls")),
    path("", include("apono_portal.notifications.urls")),
    path("", include("apono_portal.scim.urls")),
    path("", include("apono_portal.sso.urls")),
    path("", include("apono_portal.api.urls")),
    path("account/data/", download_my_data, name="download_my_data"),
    path("access-flows/", include("accessflows.flows.urls")),
    path("integrations/", include("accessflows.integrations.urls")),
    path("pending-changes/", include("accessflows.dual_control.urls")),
    path("audit-log/", include("audit.urls")),
    path("status/", include("apono_portal.status.urls")),
    path("admin/login/", views.admin_sign_in, name="admin_sign_in"),
    path("admin/logout/", sign_out, name="admin_sign_out"),
    path("admin/password_change/", views.admin_password, name="admin_password"),
    path("admin/", admin.site.urls),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", views.metrics, name="metrics"),
]

if settings.DEBUG:
    from apono_portal import styleguide

    urlpatterns.append(path("dev/components/", styleguide.components))

handler400 = "apono_portal.views.bad_request"
handler403 = "apono_portal.views.forbidden"
handler404 = "apono_portal.views.not_found"
handler500 = "apono_portal.views.server_error"
