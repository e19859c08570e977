"""URLs of Security & Privacy, and of MFA lockouts."""

from django.urls import path

from mfa import views
from mfa.verification import lockout_views

app_name = "mfa"
urlpatterns = [
    path("account/security/", views.security, name="security"),
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
