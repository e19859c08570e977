"""URLs of pending changes."""

from django.urls import path

from accessflows.dual_control import views

app_name = "changes"
urlpatterns = [
    path("", views.pending, name="list"),
    path("<int:pk>/confirm/", views.confirm, name="confirm"),
    path("<int:pk>/reject/", views.reject, name="reject"),
    path("<int:pk>/withdraw/", views.withdraw, name="withdraw"),
]
