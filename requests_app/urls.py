"""URLs of access, requests, approvals, activity, MFA set-up and the six-digit code."""

from django.urls import path

from requests_app.views import (
    access,
    active_access,
    activity,
    approvals,
    break_glass,
    extension,
    flow_deletion,
    flow_preview,
    insights,
    integration_deletion,
    logins,
    set_up,
    simulator,
    step_up,
    submission,
)

app_name = "requests"
urlpatterns = [
    path("", access.my_access, name="my_access"),
    path("requests/", access.my_requests, name="list"),
    path("requests/new/", submission.new_request, name="new"),
    path(
        "requests/new/favorites/<int:pk>/add/",
        submission.favorite,
        {"is_favorite": True},
        name="add_favorite",
    ),
    path(
        "requests/new/favorites/<int:pk>/remove/",
        submission.favorite,
        {"is_favorite": False},
        name="remove_favorite",
    ),
    path("requests/submitted/", submission.submitted, name="submitted"),
    path("requests/AR-<int:pk>/again/", submission.again, name="again"),
    path("requests/AR-<int:pk>/", access.detail, name="detail"),
    path("requests/AR-<int:pk>/credentials/", access.reveal, name="reveal"),
    path("requests/AR-<int:pk>/credentials/reset/", access.reset, name="reset"),
    path("requests/AR-<int:pk>/revoke/", access.revoke, name="revoke"),
    path("requests/AR-<int:pk>/extend/", extension.extend, name="extend"),
    path("requests/AR-<int:pk>/cancel/", access.cancel, name="cancel"),
    path("approvals/", approvals.approvals, name="approvals"),
    path("approvals/AR-<int:pk>/", approvals.decide, name="decide"),
    path("approvals/AR-<int:pk>/approve/", approvals.approve, name="approve"),
    path("approvals/AR-<int:pk>/reject/", approvals.reject, name="reject"),
    path("reviews/", break_glass.reviews, name="reviews"),
    path("reviews/AR-<int:pk>/", break_glass.review, name="review"),
    path("reviews/AR-<int:pk>/justified/", break_glass.justify, name="justify"),
    path("reviews/AR-<int:pk>/not-justified/", break_glass.refuse, name="refuse"),
    path("reviews/AR-<int:pk>/lift-pause/", break_glass.lift, name="lift_pause"),
    path("active-access/", active_access.active_access, name="active_access"),
    path("active-access/revoke/", active_access.revoke, name="revoke_selected"),
    path(
        "active-access/integrations/<int:pk>/revoke/",
        active_access.revoke_on_integration,
        name="revoke_integration",
    ),
    path("activity/", activity.activity, name="activity"),
    path("activity/export.csv", activity.export, {"file_format": "csv"}, name="activity_csv"),
    path("activity/export.jsonl", activity.export, {"file_format": "jsonl"}, name="activity_jsonl"),
    path("access-flows/simulator/", simulator.simulator, name="simulator"),
    path("access-flows/new/preview/", flow_preview.preview_new, name="preview_new_flow"),
    path("access-flows/<int:pk>/preview/", flow_preview.preview, name="preview_flow"),
    path("access-flows/<int:pk>/delete/", flow_deletion.delete, name="delete_flow"),
    path("integrations/<int:pk>/delete/", integration_deletion.delete, name="delete_integration"),
    path(
        "integrations/<int:pk>/server-gone/", integration_deletion.server_gone, name="server_gone"
    ),
    path("logins/<str:name>/", logins.login, name="login"),
    path("insights/", insights.insights, name="insights"),
    path("account/step-up/", step_up.enter_code, name="step_up"),
    path("account/security/authenticator/", set_up.set_up, name="set_up"),
    path("account/security/authenticator/confirm/", set_up.confirm, name="confirm_set_up"),
    path(
        "account/security/authenticator/password/", set_up.confirm_password, name="confirm_password"
    ),
]
