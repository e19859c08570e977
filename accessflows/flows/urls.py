"""Addresses of access flows."""

from django.urls import path

from accessflows.flows import views as flows_views

app_name = "flows"
urlpatterns = [
    path("", flows_views.flow_list, name="list"),
    path("new/", flows_views.choose_type, name="choose_type"),
    path("new/self-serve/", flows_views.create, name="create"),
    path("<int:pk>/edit/", flows_views.edit, name="edit"),
    path("<int:pk>/saved/", flows_views.saved, name="saved"),
    path("<int:pk>/history/", flows_views.history, name="history"),
    path("<int:pk>/activate/", flows_views.activate, name="activate"),
    path("<int:pk>/deactivate/", flows_views.deactivate, name="deactivate"),
]
