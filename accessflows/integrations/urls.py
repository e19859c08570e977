"""Addresses of integrations."""

from django.urls import path

from accessflows.integrations import canary_views, check_views
from accessflows.integrations import views as integrations_views

app_name = "integrations"
urlpatterns = [
    path("", integrations_views.integration_list, name="list"),
    path("new/", integrations_views.create, name="create"),
    path("<int:pk>/", integrations_views.detail, name="detail"),
    path("<int:pk>/edit/", integrations_views.edit, name="edit"),
    path("<int:pk>/password/", integrations_views.replace_secret, name="replace_secret"),
    path("<int:pk>/check/", check_views.check, name="check"),
    path("<int:pk>/check/<int:run_pk>/", check_views.check_run, name="check_run"),
    path("<int:pk>/canary/", canary_views.run_canary, name="run_canary"),
    path("<int:pk>/canary/<int:run_pk>/", canary_views.canary, name="canary"),
    path("<int:pk>/enable/", integrations_views.enable, name="enable"),
    path("<int:pk>/disable/", integrations_views.disable, name="disable"),
]
