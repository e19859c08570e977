"""Addresses of sign-in and of people."""

from django.urls import path

from apono_portal.users.views import groups, passwords, people, sessions

app_name = "users"
urlpatterns = [
    path("sign-in/", sessions.SignIn.as_view(), name="sign_in"),
    path("sign-out/", sessions.sign_out, name="sign_out"),
    path("theme/", sessions.theme, name="theme"),
    path("account/password/", passwords.change, name="password"),
    path("set-password/<uidb64>/<token>/", passwords.SetPassword.as_view(), name="set_password"),
    path("users/", people.people_list, name="list"),
    path("users/new/", people.create, name="create"),
    path("users/remind/", people.remind, name="remind"),
    path("users/<int:pk>/", people.edit, name="edit"),
    path("users/<int:pk>/reset-mfa/", people.reset_mfa, name="reset_mfa"),
    path("users/<int:pk>/invite/", people.invite, name="invite"),
    path("users/<int:pk>/deactivate/", people.deactivate, name="deactivate"),
    path("users/<int:pk>/reactivate/", people.reactivate, name="reactivate"),
    path("users/groups/", groups.group_list, name="groups"),
    path("users/groups/new/", groups.create, name="create_group"),
    path("users/groups/<int:pk>/", groups.edit, name="edit_group"),
]
