"""Addresses of access flows."""

from django.urls import path

from accessflows.views import flows, history

app_name = "flows"
urlpatterns = [
    path("", flows.flow_list, name="list"),
    path("new/", flows.choose_type, name="choose_type"),
    path("new/self-serve/", flows.create, name="create"),
    path("<int:pk>/edit/", flows.edit, name="edit"),
    path("<int:pk>/saved/", flows.saved, name="saved"),
    path("<int:pk>/history/", history.history, name="history"),
    path("<int:pk>/activate/", flows.activate, name="activate"),
    path("<int:pk>/deactivate/", flows.deactivate, name="deactivate"),
]
