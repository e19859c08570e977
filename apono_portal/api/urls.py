"""URLs of the API, its reference, and the pages of tokens."""

from collections.abc import Sequence

from django.contrib.auth.decorators import login_not_required
from django.urls import URLPattern, URLResolver, include, path

from apono_portal.api import reference
from apono_portal.api.agents.views import mcp
from apono_portal.api.client_v1.operations import api as client_api
from apono_portal.api.flow_plans import views as flow_plans
from apono_portal.api.problems import nowhere
from apono_portal.api.tokens import views
from apono_portal.api.v1.operations import api, openapi

Patterns = Sequence[URLPattern | URLResolver]


def by_token(patterns: Patterns) -> Patterns:
    """Take the patterns out of sign-in: their operations demand a token instead."""
    for pattern in patterns:
        if isinstance(pattern, URLPattern):
            login_not_required(pattern.callback)
    return patterns


pages = [
    path("api/docs/", reference.docs, name="docs"),
    path("api/v1/openapi.json", login_not_required(openapi), name="openapi"),
    path("mcp", mcp, name="mcp"),
    path("account/tokens/", views.tokens, name="tokens"),
    path("account/tokens/new/", views.create, name="create_token"),
    path("account/tokens/new/agent/", views.create_for_agent, name="create_agent_token"),
    path("account/tokens/<int:pk>/revoke/", views.revoke, name="revoke_token"),
    path(
        "account/tokens/<int:pk>/requests/AR-<int:request_pk>/",
        views.confirm,
        name="confirm_token",
    ),
    path("account/tokens/<int:pk>/plans/<int:plan_pk>/", flow_plans.confirm, name="confirm_plan"),
    path("users/tokens/", views.everybodys_tokens, name="everybodys_tokens"),
    path("users/<int:pk>/tokens/new/", views.create_for_service, name="create_service_token"),
    path("users/tokens/<int:pk>/revoke/", views.revoke_as_admin, name="revoke_as_admin"),
]
client_v1, client_app, client_namespace = client_api.urls
v1_patterns, v1_app, v1_namespace = api.urls
urlpatterns = [
    path("", include((pages, "api"))),
    path("api/v1/", include((by_token(v1_patterns), v1_app), namespace=v1_namespace)),
    path("api/client/v1/", include((by_token(client_v1), client_app), client_namespace)),
    path("api/v1/<path:rest>", login_not_required(nowhere), name="nowhere"),
]
