"""Addresses of integrations."""

from django.urls import path

from accessflows.views import canaries, checks, integrations

app_name = "integrations"
urlpatterns = [
    path("", integrations.integration_list, name="list"),
    path("new/", integrations.create, name="create"),
    path("<int:pk>/", integrations.detail, name="detail"),
    path("<int:pk>/edit/", integrations.edit, name="edit"),
    path("<int:pk>/password/", integrations.replace_secret, name="replace_secret"),
    path("<int:pk>/check/", checks.check, name="check"),
    path("<int:pk>/check/<int:run_pk>/", checks.check_run, name="check_run"),
    path("<int:pk>/canary/", canaries.run_canary, name="run_canary"),
    path("<int:pk>/canary/<int:run_pk>/", canaries.canary, name="canary"),
    path("<int:pk>/enable/", integrations.enable, name="enable"),
    path("<int:pk>/disable/", integrations.disable, name="disable"),
]
