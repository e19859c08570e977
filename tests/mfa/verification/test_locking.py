"""Every decision about a user's MFA locks their state before it reads anything else."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mfa.enrolment.recovery_codes import (
    make_recovery_codes,
    new_recovery_code,
    replace_recovery_codes,
)
from mfa.enrolment.services import begin_set_up, confirm_set_up
from mfa.exceptions import MfaError
from mfa.models import MfaState
from mfa.reset import reset_mfa, reset_mfa_from_console
from mfa.verification.evidence import require_admin_evidence, require_evidence
from mfa.verification.locking import advance_epoch, lock_states
from mfa.verification.trusted_browsers import forget_browser
from tests.factories import AuthenticatorFactory, UserFactory, VerificationFactory, window_of
from tests.mfa.conftest import HERE, enter_code, enter_recovery_code

Action = Callable[[Any, Any], Any]
ACTIONS: dict[str, Action] = {
    "begins to set up": lambda user, window: begin_set_up(
        user=user, password_proven_at=timezone.now(), client_info=HERE
    ),
    "confirms": lambda user, window: confirm_set_up(
        user=user, device_id=1, code="123456", client_info=HERE
    ),
    "enters a code": lambda user, window: enter_code(user, "123456"),
    "enters a recovery code": lambda user, window: enter_recovery_code(user, new_recovery_code()),
    "shows evidence": lambda user, window: require_evidence(user=user, window=window),
    "shows an admin's evidence": lambda user, window: require_admin_evidence(
        actor=user, window=window
    ),
    "makes recovery codes": lambda user, window: make_recovery_codes(
        user=user, window=window, client_info=HERE
    ),
    "forgets a browser": lambda user, window: forget_browser(
        user=user, browser_id=1, window=window, client_info=HERE
    ),
    "resets": lambda user, window: reset_mfa(
        actor=user, user=user, reason="Lost", window=window, client_info=HERE
    ),
    "resets at the console": lambda user, window: reset_mfa_from_console(
        user=user, reason="Lost", operator="root"
    ),
    "changes the password": lambda user, window: advance_epoch(user=user),
}


@pytest.mark.django_db
@pytest.mark.parametrize("action", ACTIONS)
def test_lock_comes_first(action):
    user = UserFactory(admin=True)
    window = window_of(VerificationFactory(user=user))
    replace_recovery_codes(user_id=user.pk)
    captured = CaptureQueriesContext(connections["default"])
    with captured as queries, suppress(MfaError):  # permitted or not is not the subject
        ACTIONS[action](user, window)
    statements = [q["sql"] for q in queries if "mfa_" in q["sql"] or "otp_" in q["sql"]]
    assert 'FROM "mfa_mfastate"' in statements[0]
    if connection.features.has_select_for_update:
        assert statements[0].endswith("FOR UPDATE")


@pytest.mark.django_db
def test_several_are_locked_in_one_order():
    one, two = sorted(AuthenticatorFactory.create_batch(2), key=lambda device: device.user_id)
    MfaState.objects.bulk_create(
        [MfaState(user_id=device.user_id) for device in (one, two)], ignore_conflicts=True
    )
    with CaptureQueriesContext(connections["default"]) as queries:
        locked = lock_states(two.user_id, one.user_id, two.user_id)
    assert list(locked) == [one.user_id, two.user_id]
    assert len(queries) == 2
