"""Addresses of Security & Privacy, of set-up, and of the admins' page of holds."""

from django.urls import path

from mfa.views import holds, security, set_up

app_name = "mfa"
urlpatterns = [
    path("account/security/", security.security, name="security"),
    path("account/security/authenticator/", set_up.set_up, name="set_up"),
    path("account/security/authenticator/confirm/", set_up.confirm, name="confirm"),
    path(
        "account/security/authenticator/password/", set_up.confirm_password, name="confirm_password"
    ),
    path("account/security/close-window/", security.close, name="close_window"),
    path("account/security/recovery-codes/", security.recovery_codes, name="recovery_codes"),
    path(
        "account/security/browsers/<int:pk>/forget/", security.forget_browser, name="forget_browser"
    ),
    path("mfa-holds/", holds.holds, name="holds"),
    path("mfa-holds/<int:pk>/lift/", holds.lift_hold, name="lift_hold"),
]
