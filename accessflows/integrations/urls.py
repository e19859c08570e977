"""URLs of integrations."""

from django.urls import path

from accessflows.integrations import views

app_name = "integrations"
urlpatterns = [
    path("", views.integration_list, name="list"),
    path("new/", views.create, name="create"),
    path("<int:pk>/", views.detail, name="detail"),
    path("<int:pk>/edit/", views.edit, name="edit"),
    path("<int:pk>/password/", views.replace_secret, name="replace_secret"),
    path("<int:pk>/check/", views.check, name="check"),
    path("<int:pk>/check/<int:run_pk>/", views.check_run, name="check_run"),
    path("<int:pk>/canary/", views.run_canary, name="run_canary"),
    path("<int:pk>/canary/<int:run_pk>/", views.canary, name="canary"),
    path("<int:pk>/enable/", views.enable, name="enable"),
    path("<int:pk>/disable/", views.disable, name="disable"),
]
