"""What an admin would look up is in Django admin, and nothing secret is."""

import pytest
from django.apps import apps
from django.contrib import admin

from apono_portal.users.models import Role, User
from tests.architecture.sources import FLOORS

# Models that have no page of their own in Django admin, and why.
ELSEWHERE = {
    "audit.ChainEntry": "within its seal",
    "audit.ExportProgress": "the page says it while the export lasts",
    "audit.LogVerification": "the page of verification says it",
    "audit.ChainState": "the audit log's page says it",
    "accessflows.FlowTarget": "within its access flow",
    "requests_app.DayFigures": "the page of insights draws them",
    "accessflows.EscalationTier": "within its access flow",
    "mfa.RecoveryCode": "hashes that nobody looks up",
    "notifications.ReadPosition": "a worker's place in the log",
}
SECRET_FIELDS = {
    "key",
    "encrypted_password",
    "password",
    "nonce_hash",
    "code_hash",
    "encrypted_url",
    "encrypted_secret",
}
OURS = [
    model
    for model in apps.get_models()
    if model.__module__.partition(".")[0] in FLOORS and not model._meta.auto_created
]


def name_of(model) -> str:
    return f"{model._meta.app_label}.{model.__name__}"


@pytest.mark.parametrize("model", OURS, ids=name_of)
def test_a_model_is_in_django_admin_or_listed_here(model):
    assert admin.site.is_registered(model) or name_of(model) in ELSEWHERE


@pytest.mark.parametrize("model", list(admin.site._registry), ids=name_of)
def test_no_secret_is_shown_or_searched(model, rf):
    request = rf.get("/admin/")
    request.user = User(role=Role.ADMIN)
    registered = admin.site._registry[model]
    shown = {*registered.get_fields(request), *registered.get_list_display(request)}
    searched = {name.partition("__")[0] for name in registered.get_search_fields(request)}
    assert (shown | searched) & SECRET_FIELDS == set()
