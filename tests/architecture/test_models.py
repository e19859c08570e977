"""Django admin shows every model an admin would look up, and no secret."""

import pytest
from django.apps import apps
from django.contrib import admin

from apono_portal.users.models import Role, User
from tests.architecture.sources import APPS

# Models without a page of their own in Django admin, and why.
NOT_IN_ADMIN = {
    "audit.ChainEntry": "within its checkpoint",
    "audit.ExportProgress": "shown by the page during the export",
    "audit.LogVerification": "shown by the Verification page",
    "audit.ChainState": "shown by the Audit Log page",
    "accessflows.FlowTarget": "within its access flow",
    "requests_app.DayFigures": "shown by the Insights page",
    "requests_app.FavoriteFlow": "stars on a page of the user's own",
    "requests_app.Submission": "the pages of the requests show what it made",
    "requests_app.WorkerHeartbeat": "shown by a banner when there is none",
    "accessflows.EscalationTier": "within its access flow",
    "accessflows.RequesterCondition": "within its access flow",
    "accessflows.RequesterValue": "in words on the page of its access flow",
    "api.PlanConfirmation": "an event of the audit log, for a day",
    "api.CallCount": "a number of the last minute",
    "api.StoredResponse": "for a day, so that a call can be repeated",
    "api.TokenConfirmation": "an event of the audit log",
    "mfa.PasskeyChallenge": "random, and used up within minutes",
    "mfa.RecoveryCode": "hashes that nobody looks up",
    "sso.MappedMembership": "shown as the source of a membership",
    "sso.ProviderSession": "within the sessions that it began",
    "sso.UsedLogoutToken": "hashes that nobody looks up",
    "scim.ScimToken": "shown by the Provisioning page",
    "users.SignedInDevice": "shown to its user under Security & Privacy, and to admins",
    "users.PasswordFailure": "the same, for a quarter of an hour",
    "notifications.ReadPosition": "a worker's place in the log",
}
SECRET_FIELDS = {
    "key",
    "encrypted_password",
    "password",
    "nonce_hash",
    "code_hash",
    "token_hash",
    "encrypted_url",
    "encrypted_secret",
    "encrypted_id_token",
}
OURS = [
    model
    for model in apps.get_models()
    if model.__module__.partition(".")[0] in APPS and not model._meta.auto_created
]


def name_of(model) -> str:
    return f"{model._meta.app_label}.{model.__name__}"


@pytest.mark.parametrize("model", OURS, ids=name_of)
def test_a_model_is_in_django_admin_or_listed_here(model):
    assert admin.site.is_registered(model) or name_of(model) in NOT_IN_ADMIN


@pytest.mark.parametrize("model", list(admin.site._registry), ids=name_of)
def test_no_secret_is_shown_or_searched(model, rf):
    request = rf.get("/admin/")
    request.user = User(role=Role.ADMIN)
    registered = admin.site._registry[model]
    displayed = {*registered.get_fields(request), *registered.get_list_display(request)}
    searched = {name.partition("__")[0] for name in registered.get_search_fields(request)}
    assert (displayed | searched) & SECRET_FIELDS == set()
