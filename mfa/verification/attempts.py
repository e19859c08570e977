"""One try at a code: six digits or a recovery code, at step-up or at set-up.

The order of everything here is the point of it: lock, budget, check, ledger and audit in one
transaction, and an outcome instead of an exception, so that a failure is never rolled back.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import takewhile
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from apono_portal.core.db.prepared import insert, prepared
from apono_portal.core.web.client import ClientInfo
from audit.events import EventName
from audit.models import Event
from audit.services import record
from mfa import emails
from mfa.models import Authenticator, MfaState, Outcome, Verification
from mfa.verification.locking import lock_state
from mfa.verification.rate_limits import (
    MONTH,
    SESSION_FAILURES,
    SHORT,
    locked_until,
    month_is_spent,
)
from mfa.verification.throttle_scope import ThrottleScope, still_trusted
from mfa.verification.trusted_browsers import trust_browser

EVENTS = {
    Outcome.OK: EventName.MFA_VERIFY,
    Outcome.BAD: EventName.MFA_REFUSE,
    Outcome.REPLAY: EventName.MFA_REFUSE,
    Outcome.NO_DEVICE: EventName.MFA_REFUSE,
    Outcome.THROTTLED: EventName.MFA_THROTTLE,
}
SENTENCES = {
    Outcome.OK: "Verified.",
    Outcome.BAD: "That code did not match. Check that your phone sets its clock automatically.",
    Outcome.REPLAY: "That code was used before. Wait for the next one.",
    Outcome.THROTTLED: "Too many codes did not match. No code is taken for now.",
    Outcome.NO_DEVICE: "MFA is not set up. Set it up first.",
}


# Does, under the lock, what a success lets happen; returns what the record says of it.
Release = Callable[[Verification], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class VerificationResult:
    """What became of a try.

    ``verification`` is its ledger row; attempts during one hold share a row. ``locked_until`` is set
    while the scope takes no codes. ``session_must_end``: five failures in a row in this session;
    the view ends it with `mfa.verification.window.end_session`. ``device_cookie`` goes to `mfa.verification.throttle_scope.remember`.
    """

    verification: Verification
    locked_until: datetime | None = None
    session_must_end: bool = False
    device_cookie: str = ""

    @property
    def outcome(self) -> Outcome:
        return Outcome(self.verification.outcome)

    @property
    def ok(self) -> bool:
        return self.outcome == Outcome.OK

    @property
    def sentence(self) -> str:
        """What the page says about it."""
        return SENTENCES[self.outcome]


@dataclass(frozen=True)
class Attempt:
    """One try under the lock: who, on which budget, from where."""

    user: Any
    state: MfaState
    scope: ThrottleScope
    client_info: ClientInfo
    now: datetime
    device: Authenticator | None

    def write(
        self, outcome: Outcome, *, device_name: str = "", release: Release | None = None
    ) -> tuple[Verification, Event]:
        """Put the outcome on the ledger and on the record, with what it released."""
        verification = Verification(
            user_id=self.state.user_id,
            at=self.now,
            outcome=outcome,
            scope=self.scope.label,
            session_ref=self.scope.session_ref,
            epoch=self.state.epoch,
            device_id=self.device.pk if self.device else None,
            device_name=device_name or (self.device.name if self.device else ""),
            address=self.client_info.address,
            user_agent=self.client_info.user_agent,
        )
        insert(verification.sign())
        event = record(
            event=EVENTS[outcome],
            actor=self.user,
            target=self.device,
            client_info=self.client_info,
            metadata={
                "outcome": outcome.value,
                "scope": self.scope.label,
                "authenticator": verification.device_name,
                "verification": verification.pk,
                **(release(verification) if release else {}),
            },
        )
        return verification, event

    @cached_property
    def failures(self) -> list[datetime]:
        """When this scope's failures before this try were, newest first, as far as any limit looks back."""
        return failures_in(self.state.user_id, self.scope.label, self.now)

    def locked_until(self, failures: list[datetime]) -> datetime | None:
        return locked_until(failures, self.now, month_since=self.state.lockout_lifted_at)


def failures_in(user_id: int, scope: str, now: datetime) -> list[datetime]:
    """Return when a scope's failures were, newest first, as far as any limit looks back."""
    return _failures(user_id, scope, now - MONTH.period)


@prepared(int, str, datetime)
def _failures(user_id: int, scope: str, since: datetime) -> QuerySet[Any, Any]:
    ledger = Verification.objects.in_lane(user_id, scope).failures().since(since)
    return ledger.order_by("-at", "-id").values_list("at", flat=True)[: MONTH.failures]


@prepared(int)
def _locked_device(user_id: int) -> QuerySet[Authenticator]:
    devices = Authenticator.objects.select_for_update().of(user_id).confirmed()
    return devices.order_by("pk")[:1]


def attempt_verification(
    *,
    user: Any,
    scope: ThrottleScope,
    client_info: ClientInfo,
    check: Callable[[Attempt], Outcome],
    device_name: str = "",
    on_success: Callable[[Event], None] | None = None,
    release: Release | None = None,
) -> VerificationResult:
    """Take the lock, hold the scope to its budget, run ``check`` if allowed, write what became of it.

    ``release`` is given a success before it is put on the record, ``on_success`` the event of it;
    both in the same transaction.
    """
    with transaction.atomic(savepoint=False):
        state = lock_state(user.pk)
        device = _locked_device.first(user.pk)
        attempt = Attempt(
            user, state, still_trusted(scope, state), client_info, timezone.now(), device
        )
        held = refused_by_hold(attempt)
        if held is not None:
            return held
        if attempt.device is None:
            return VerificationResult(_one_row(attempt, Outcome.NO_DEVICE))
        outcome = check(attempt)
        verification, event = attempt.write(
            outcome,
            device_name=device_name,
            release=release if outcome == Outcome.OK else None,
        )
        if outcome == Outcome.OK:
            if on_success:
                on_success(event)
            return VerificationResult(verification, device_cookie=trust_browser(attempt))
        return after_failure(attempt, verification)


def refused_by_hold(attempt: Attempt) -> VerificationResult | None:
    """Refuse the try if its scope is held off, right code or wrong."""
    until = attempt.locked_until(attempt.failures)
    if until is None:
        return None
    return VerificationResult(_one_row(attempt, Outcome.THROTTLED), locked_until=until)


def check_code(device: Authenticator | None, digits: str) -> Outcome:
    """Ask django-otp, which spends a right code; tell a spent code from a wrong one."""
    if device is None:
        return Outcome.NO_DEVICE
    if device.verify_token(digits):
        return Outcome.OK
    return Outcome.REPLAY if device.was_spent(digits) else Outcome.BAD


def after_failure(attempt: Attempt, verification: Verification) -> VerificationResult:
    """Say what the failure just written leads to: a hold, the end of the session, the 30-day limit."""
    failures = [verification.at, *attempt.failures]
    must_end = _failures_in_a_row(attempt) >= SESSION_FAILURES
    if must_end:
        ended = record(
            event=EventName.SESSION_END,
            actor=attempt.user,
            target=attempt.device,
            client_info=attempt.client_info,
            metadata={"because": "five codes in a row did not match", "scope": attempt.scope.label},
        )
        emails.five_failures(event=ended, user=attempt.user, client_info=attempt.client_info)
    if month_is_spent(failures, attempt.now, month_since=attempt.state.lockout_lifted_at):
        capped = record(
            event=EventName.MFA_LOCK_OUT,
            actor=attempt.user,
            target=attempt.device,
            client_info=attempt.client_info,
            metadata={"scope": attempt.scope.label},
        )
        known = attempt.scope.browser_id is not None
        emails.month_limit_reached(event=capped, user=attempt.user, known_browser=known)
    return VerificationResult(
        verification,
        locked_until=attempt.locked_until(failures),
        session_must_end=must_end,
    )


def _failures_in_a_row(attempt: Attempt) -> int:
    if not attempt.scope.session_ref:
        return 0
    latest = _latest_in_session(attempt.state.user_id, attempt.scope.session_ref)
    return len(list(takewhile(lambda outcome: outcome != Outcome.OK, latest)))


@prepared(int, str)
def _latest_in_session(user_id: int, session_ref: str) -> QuerySet[Any, Any]:
    """The outcomes that count of the session's latest attempts, as many as may end it."""
    attempts = Verification.objects.in_session(user_id, session_ref)
    counted = attempts.filter(outcome__in=["ok", "bad", "replay"]).order_by("-id")
    return counted.values_list("outcome", flat=True)[:SESSION_FAILURES]


def _one_row(attempt: Attempt, outcome: Outcome) -> Verification:
    """Return this scope's row for a refusal that repeats, so that a flood of attempts writes one row.

    A hold has one ledger row and one audit row from the failure that began it on. "Not set up" has
    one in 15 minutes.
    """
    ledger = Verification.objects.in_lane(attempt.state.user_id, attempt.scope.label)
    if outcome == Outcome.THROTTLED:
        last = ledger.failures().order_by("-id").values_list("pk", flat=True).first() or 0
        told = ledger.filter(outcome=outcome, pk__gt=last)
    else:
        told = ledger.filter(outcome=outcome).since(attempt.now - SHORT.period)
    return told.order_by("-id").first() or attempt.write(outcome)[0]
