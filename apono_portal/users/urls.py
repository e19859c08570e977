"""URLs of sign-in, passwords, users and groups."""

from django.urls import path
from django.views.generic import RedirectView

from apono_portal.users.imports import views as imports
from apono_portal.users.views import (
    bulk,
    devices,
    groups,
    passwords,
    sign_in,
    time_zone,
    user_page,
    users,
)

app_name = "users"
urlpatterns = [
    path("sign-in/", sign_in.SignIn.as_view(), name="sign_in"),
    path("sign-out/", sign_in.sign_out, name="sign_out"),
    path("theme/", sign_in.theme, name="theme"),
    path("account/time-zone/", time_zone.time_zone, name="time_zone"),
    path("account/password/", passwords.change, name="password"),
    path("account/devices/<int:pk>/sign-out/", devices.end, name="end_device"),
    path("account/devices/sign-out-others/", devices.end_others, name="end_other_devices"),
    # Where password managers look for it (W3C, A Well-Known URL for Changing Passwords).
    path(
        ".well-known/change-password",
        RedirectView.as_view(pattern_name="users:password"),
        name="well_known_password",
    ),
    path("set-password/<uidb64>/<token>/", passwords.SetPassword.as_view(), name="set_password"),
    path("forgot-password/", passwords.forgot, name="forgot_password"),
    path("forgot-password/sent/", passwords.reset_link_sent, name="reset_link_sent"),
    path(
        "reset-password/<uidb64>/<token>/",
        passwords.ResetPassword.as_view(),
        name="reset_password",
    ),
    path("users/", users.directory, name="list"),
    path("users/new/", users.create, name="create"),
    path("users/remind/", users.remind, name="remind"),
    path("users/import/", imports.choose_file, name="import"),
    path("users/import/apply/", imports.apply, name="apply_import"),
    path("users/selected/deactivate/", bulk.deactivate, name="deactivate_selected"),
    path("users/selected/reset-mfa/", bulk.reset_mfa, name="reset_mfa_of_selected"),
    path("users/selected/add-to-group/", bulk.add_to_group, name="add_selected_to_group"),
    path("users/<int:pk>/", user_page.detail, name="detail"),
    path("users/<int:pk>/edit/", users.edit, name="edit"),
    path("users/<int:pk>/reset-mfa/", users.reset_mfa, name="reset_mfa"),
    path(
        "users/<int:pk>/passkeys/<int:passkey_pk>/vouch/",
        users.vouch_for_passkey,
        name="vouch_for_passkey",
    ),
    path(
        "users/<int:pk>/devices/<int:device_pk>/sign-out/",
        devices.end_of_user,
        name="end_device_of_user",
    ),
    path("users/<int:pk>/devices/sign-out/", devices.end_all_of_user, name="end_devices_of_user"),
    path("users/<int:pk>/invite/", users.invite, name="invite"),
    path("users/<int:pk>/deactivate/", users.deactivate, name="deactivate"),
    path("users/<int:pk>/reactivate/", users.reactivate, name="reactivate"),
    path("users/groups/", groups.group_list, name="groups"),
    path("users/groups/new/", groups.create, name="create_group"),
    path("users/groups/<int:pk>/", groups.group, name="group"),
    path("users/groups/<int:pk>/edit/", groups.edit, name="edit_group"),
    path("users/groups/<int:pk>/members/add/", groups.add_members, name="add_group_members"),
    path(
        "users/groups/<int:pk>/members/<int:user_pk>/remove/",
        groups.remove_member,
        name="remove_group_member",
    ),
]
