"""URLs of single sign-on, and of its pages for admins."""

from django.urls import path

from apono_portal.sso.views import connection, mappings, provider_sign_in, providers, sign_out

app_name = "sso"
urlpatterns = [
    path("sso/connect/", connection.connect, name="connect"),
    path("sso/<slug:slug>/", provider_sign_in.start, name="start"),
    path("sso/<slug:slug>/callback/", provider_sign_in.callback, name="callback"),
    path("sso/<slug:slug>/signed-out/", sign_out.signed_out, name="signed_out"),
    path(
        "sso/<slug:slug>/back-channel-logout/",
        sign_out.back_channel_logout,
        name="back_channel_logout",
    ),
    path("single-sign-on/", providers.provider_list, name="list"),
    path("single-sign-on/new/", providers.create, name="create"),
    path("single-sign-on/break-glass/", providers.break_glass, name="break_glass"),
    path("single-sign-on/<int:pk>/", providers.detail, name="detail"),
    path("single-sign-on/<int:pk>/edit/", providers.edit, name="edit"),
    path("single-sign-on/<int:pk>/delete/", providers.delete, name="delete"),
    path("single-sign-on/<int:pk>/test/", providers.test, name="test"),
    path("single-sign-on/<int:pk>/domains/", mappings.add_domain, name="add_domain"),
    path("single-sign-on/domains/<int:pk>/", mappings.edit_domain, name="edit_domain"),
    path("single-sign-on/domains/<int:pk>/remove/", mappings.remove_domain, name="remove_domain"),
    path("single-sign-on/<int:pk>/mappings/", mappings.add_mapping, name="add_mapping"),
    path(
        "single-sign-on/mappings/<int:pk>/remove/", mappings.remove_mapping, name="remove_mapping"
    ),
]
