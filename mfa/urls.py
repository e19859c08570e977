"""URLs of Security & Privacy, and of MFA Lockouts."""

from django.urls import path

from mfa import views
from mfa.methods import views as method_views
from mfa.passkeys import views as passkey_views
from mfa.verification import lockout_views

app_name = "mfa"
urlpatterns = [
    path("account/security/", views.security, name="security"),
    path("account/security/passkey/", passkey_views.add, name="add_passkey"),
    path(
        "account/security/passkey/options/",
        passkey_views.registration_options,
        name="passkey_registration_options",
    ),
    path("account/passkey/options/", passkey_views.verification_options, name="passkey_options"),
    path(
        "account/security/methods/<slug:kind>/<int:pk>/rename/",
        method_views.rename,
        name="rename_method",
    ),
    path(
        "account/security/methods/<slug:kind>/<int:pk>/remove/",
        method_views.remove,
        name="remove_method",
    ),
    path("account/security/close-window/", views.close, name="close_window"),
    path("account/security/recovery-codes/", views.recovery_codes, name="recovery_codes"),
    path(
        "account/security/recovery-codes/new/", views.new_recovery_codes, name="new_recovery_codes"
    ),
    path("account/security/recovery-codes/saved/", views.codes_saved, name="codes_saved"),
    path("account/security/browsers/<int:pk>/forget/", views.forget_browser, name="forget_browser"),
    path("mfa-lockouts/", lockout_views.lockouts, name="lockouts"),
    path("mfa-lockouts/<int:pk>/lift/", lockout_views.lift_lockout, name="lift_lockout"),
]
