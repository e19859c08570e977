"""The database itself refuses access that ends before it starts, or never."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from requests_app.models import Extension, Status
from tests.factories import AccessFlowFactory, AccessRequestFactory, GrantFactory

pytestmark = pytest.mark.django_db
NONE_AT_ALL = timedelta(0)


def make_extension() -> Extension:
    request = AccessRequestFactory(status=Status.ACTIVE)
    later = request.ends_at + timedelta(hours=1)
    return Extension.objects.create(
        request=request, number=1, from_end=request.ends_at, to_end=later, require_mfa=False
    )


@pytest.mark.parametrize(
    ("make", "change", "constraint"),
    [
        (GrantFactory, {"activated_at": F("deadline")}, "grant_ends_after_start"),
        (AccessRequestFactory, {"pending_until": None}, "request_pending_has_deadline"),
        (
            lambda: AccessRequestFactory(status=Status.ACTIVE),
            {"ends_at": None, "starts_at": None},
            "request_active_has_end",
        ),
        (
            lambda: AccessRequestFactory(status=Status.ACTIVE),
            {"ends_at": F("starts_at")},
            "request_ends_after_start",
        ),
        (AccessRequestFactory, {"duration": NONE_AT_ALL}, "request_duration_positive"),
        (
            AccessRequestFactory,
            {"duration": timedelta(days=400)},
            "request_duration_within_flow",
        ),
        (AccessFlowFactory, {"max_duration": NONE_AT_ALL}, "flow_duration_positive"),
        (AccessFlowFactory, {"max_duration": timedelta(days=366)}, "flow_duration_has_limit"),
        (AccessFlowFactory, {"extension_duration": NONE_AT_ALL}, "flow_extension_positive"),
        (make_extension, {"to_end": F("from_end")}, "extension_ends_later"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_interval_without_an_end_is_refused(make, change, constraint):
    row = make()
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        type(row)._default_manager.filter(pk=row.pk).update(**change)


def test_a_grant_has_a_deadline():
    grant = GrantFactory()
    with pytest.raises(IntegrityError, match="deadline"), transaction.atomic():
        type(grant)._default_manager.filter(pk=grant.pk).update(deadline=None)
    assert grant.deadline > timezone.now()
