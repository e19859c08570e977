"""URLs of access flows."""

from django.urls import path

from accessflows.flows import views

app_name = "flows"
urlpatterns = [
    path("", views.flow_list, name="list"),
    path("new/", views.choose_type, name="choose_type"),
    path("new/self-serve/", views.create, name="create"),
    path("pick/users/", views.pick_options, {"kind": "user"}, name="pick_user"),
    path("pick/groups/", views.pick_options, {"kind": "group"}, name="pick_group"),
    path("<int:pk>/edit/", views.edit, name="edit"),
    path("<int:pk>/saved/", views.saved, name="saved"),
    path("<int:pk>/history/", views.history, name="history"),
    path("<int:pk>/activate/", views.activate, name="activate"),
    path("<int:pk>/deactivate/", views.deactivate, name="deactivate"),
]
