"""Many attempts at one instant. On SQLite the immediate transaction is the lock, on PostgreSQL the row."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connections, transaction

from apono_portal.core.web.client import SYSTEM
from mfa.enrolment.recovery_codes import replace_recovery_codes
from mfa.enrolment.services import begin_set_up, confirm_set_up
from mfa.exceptions import MfaError, SetUpExpired
from mfa.models import Authenticator, MfaState, Outcome, RecoveryCode, Verification
from mfa.reset import reset_mfa_from_console
from mfa.verification.locking import lock_state
from mfa.verification.throttle_scope import ThrottleScope
from tests.factories import AuthenticatorFactory, UserFactory, code_for
from tests.mfa.conftest import enter_code, enter_recovery_code, wrong_for

THREADS = 6
pytestmark = pytest.mark.django_db(transaction=True)


def at_once(work: Callable[[int], object], threads: int = THREADS) -> list[object]:
    """Run ``work(n)`` in threads that start together; an MfaError is a result too."""
    barrier = Barrier(threads)

    def run(number: int) -> object:
        try:
            barrier.wait(10)
            return work(number)
        except MfaError as refused:
            return type(refused)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, range(threads)))


@pytest.fixture
def device() -> Authenticator:
    return AuthenticatorFactory()


def entering(device: Authenticator, code: str) -> Callable[[int], Outcome]:
    return lambda _: enter_code(device.user, code, ThrottleScope(session_ref="s")).outcome


def test_one_code_in_six_threads_is_accepted_once(device):
    outcomes = Counter(at_once(entering(device, code_for(device))))
    assert outcomes[Outcome.OK] == 1
    assert outcomes[Outcome.REPLAY] + outcomes[Outcome.THROTTLED] == THREADS - 1
    assert Verification.objects.passed().count() == 1


def test_wrong_codes_at_once_are_counted_each(device):
    outcomes = Counter(at_once(entering(device, wrong_for(device)), threads=12))
    assert outcomes == {Outcome.BAD: 5, Outcome.THROTTLED: 7}
    assert Verification.objects.failures().count() == 5
    assert Verification.objects.filter(outcome=Outcome.THROTTLED).count() == 1


def test_first_attempts_at_once_make_one_state():
    user = UserFactory()
    MfaState.objects.filter(user=user).delete()
    entered = at_once(lambda _: enter_code(user, "123456").outcome)
    assert set(entered) == {Outcome.NO_DEVICE}
    assert MfaState.objects.filter(user=user).count() == 1
    assert Verification.objects.count() == 1


def test_recovery_code_at_once_is_good_once(device):
    code = replace_recovery_codes(user_id=device.user.pk)[0]
    outcomes = Counter(at_once(lambda _: enter_recovery_code(device.user, code).outcome))
    assert outcomes[Outcome.OK] == 1
    assert RecoveryCode.objects.exclude(used_at=None).count() == 1


def test_set_up_begun_at_once_leaves_one_key():
    from django.utils import timezone

    user = UserFactory()
    now = timezone.now()
    at_once(lambda _: begin_set_up(user=user, password_proven_at=now, client_info=SYSTEM).pk)
    assert Authenticator.objects.of(user.pk).count() == 1


def test_set_up_confirmed_at_once_turns_on_once():
    device = AuthenticatorFactory(confirmed=False)
    code = code_for(device)

    def confirm(_: int) -> Outcome:
        with transaction.atomic():
            result = confirm_set_up(
                user=device.user, device_id=device.pk, code=code, client_info=SYSTEM
            )
        return result.outcome

    results = at_once(confirm)
    assert Counter(results)[Outcome.OK] == 1
    assert Counter(results)[SetUpExpired] == THREADS - 1
    assert Authenticator.objects.of(device.user.pk).get().confirmed


def test_reset_and_right_codes_at_once_leave_nothing_that_counts(device):
    """Whoever wins the lock: after the reset there is no device, and the old epoch proves nothing."""
    user, code = device.user, code_for(device)

    def work(number: int) -> object:
        if number == 0:
            return reset_mfa_from_console(user=user, reason="race", operator="test")
        return enter_code(user, code).outcome

    results = Counter(at_once(work))
    assert results[Outcome.OK] <= 1
    assert Authenticator.objects.of(user.pk).count() == 0
    epoch = MfaState.objects.get(user=user).epoch
    assert not Verification.objects.passed().filter(epoch=epoch).exists()


def test_state_is_locked_until_the_transaction_ends(device):
    """Two read-modify-writes under the lock never lose one."""
    from django.db import transaction

    def count_up(_: int) -> None:
        with transaction.atomic():
            state = lock_state(device.user.pk)
            state.epoch += 1
            state.save(update_fields=["epoch"])

    at_once(count_up, threads=8)
    assert MfaState.objects.get(user=device.user).epoch == 8
