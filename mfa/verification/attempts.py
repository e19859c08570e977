"""Attempts at a code and the ledger that keeps them.

Services begin an attempt, check a code, and call `succeed` or `fail`, all in one transaction. A
failure is an outcome, never an exception: nothing that must be remembered is rolled back.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from django.db.models import BigIntegerField, CharField, DateTimeField
from django.utils import timezone

from apono_portal.core.db.compiled_query import CompiledQuery
from apono_portal.core.web.client import ClientInfo
from audit.events import EventName
from audit.models import Event
from audit.services import record
from mfa import emails
from mfa.models import (
    Authenticator,
    Method,
    MfaState,
    Outcome,
    Passkey,
    RecoveryCode,
    TrustedBrowser,
    Verification,
)
from mfa.verification.locking import lock_state
from mfa.verification.rate_limits import (
    MAX_SESSION_FAILURES,
    MONTH,
    SHORT,
    is_month_limit_reached,
    locked_until,
)
from mfa.verification.throttle_scope import ThrottleScope, scope_label
from mfa.verification.trusted_browsers import trust_browser

if TYPE_CHECKING:
    from apono_portal.users.models import User

EVENTS = {
    Outcome.OK: EventName.MFA_VERIFY,
    Outcome.BAD: EventName.MFA_REFUSE,
    Outcome.REPLAY: EventName.MFA_REFUSE,
    Outcome.REPEATED: EventName.MFA_REPEAT,
    Outcome.NO_DEVICE: EventName.MFA_REFUSE,
    Outcome.THROTTLED: EventName.MFA_THROTTLE,
    Outcome.REFUSED: EventName.MFA_REFUSE,
}
MESSAGES = {
    Outcome.OK: "Verified.",
    Outcome.BAD: "Incorrect code. Check that your phone sets its clock automatically.",
    Outcome.REPLAY: "This code was already used. Wait for the next one.",
    Outcome.REPEATED: "That code was just used. Wait up to 30 seconds for the next one.",
    Outcome.THROTTLED: "Too many incorrect codes. Try again later.",
    Outcome.NO_DEVICE: "MFA is not set up. Set it up first.",
    Outcome.REFUSED: "That didn't work. Try again, or use another method.",
}


_locked_devices = CompiledQuery(
    lambda user_id: (
        Authenticator.objects.select_for_update().of(user_id).confirmed().order_by("pk")
    ),
    BigIntegerField(),
)
_recent_failures = CompiledQuery(
    lambda user_id, scope, since: (
        Verification.objects.in_scope(user_id, scope)
        .failures()
        .since(since)
        .order_by("-at", "-id")
        .only("at")[: MONTH.failures]
    ),
    BigIntegerField(),
    CharField(),
    DateTimeField(),
)
_latest_in_session = CompiledQuery(
    lambda user_id, session_ref: (
        Verification.objects.in_session(user_id, session_ref)
        .filter(outcome__in=["ok", "bad", "replay"])
        .order_by("-id")
        .only("outcome")[:MAX_SESSION_FAILURES]
    ),
    BigIntegerField(),
    CharField(),
)


@dataclass(frozen=True)
class Attempt:
    """One attempt under the lock: who, with what, on which budget, from where.

    ``device`` is what was verified with, and for a wrong code the only authenticator there is.
    """

    user: "User"
    state: MfaState
    device: Authenticator | Passkey | None
    client_info: ClientInfo
    scope: str
    browser: TrustedBrowser | None = None
    session_ref: str = ""
    method: Method = Method.CODE
    devices: tuple[Authenticator, ...] = ()
    now: datetime = field(default_factory=timezone.now)

    @cached_property
    def earlier_failures(self) -> list[datetime]:
        """Return when this scope's failures before this attempt were, newest first."""
        return recent_failures(self.state.user_id, self.scope, self.now)

    @property
    def is_recovery(self) -> bool:
        return self.method == Method.RECOVERY

    def made_with(self, device: Authenticator | Passkey) -> "Attempt":
        return replace(self, device=device)

    def locked_until(self, failures: list[datetime]) -> datetime | None:
        return locked_until(failures, self.now, month_since=self.state.lockout_lifted_at)

    def write(self, outcome: Outcome) -> Verification:
        """Write the outcome to the ledger."""
        device_name = self.device.name if self.device else ""
        verification = Verification(
            user_id=self.state.user_id,
            at=self.now,
            outcome=outcome,
            scope=self.scope,
            session_ref=self.session_ref,
            epoch=self.state.epoch,
            method=self.method,
            device_id=self.device.pk if self.device else None,
            device_name=Verification.RECOVERY_CODE if self.is_recovery else device_name,
            address=self.client_info.address,
            user_agent=self.client_info.user_agent,
        )
        verification.sign().save(force_insert=True)
        return verification

    def record(self, event: EventName, **metadata: Any) -> Event:
        """Write an audit event about this attempt."""
        return record(
            event=event,
            actor=self.user,
            target=self.device,
            client_info=self.client_info,
            metadata={"scope": self.scope, **metadata},
        )

    def record_outcome(self, verification: Verification, **metadata: Any) -> Event:
        outcome = Outcome(verification.outcome)
        return self.record(
            EVENTS[outcome],
            outcome=outcome.value,
            method=self.method.value,
            authenticator=verification.device_name,
            verification=verification.pk,
            **metadata,
        )


@dataclass(frozen=True, slots=True)
class VerificationResult:
    """The outcome of an attempt.

    ``verification`` is its ledger row; attempts during one lockout share a row. ``locked_until`` is
    set while the scope is locked out. ``must_end_session``: five failures in a row in this session;
    the view ends it with `mfa.verification.window.end_session`. ``browser_cookie`` goes to
    `mfa.verification.trusted_browsers.set_browser_cookie`.
    """

    attempt: Attempt
    verification: Verification
    locked_until: datetime | None = None
    must_end_session: bool = False
    browser_cookie: str = ""

    @property
    def outcome(self) -> Outcome:
        return Outcome(self.verification.outcome)

    @property
    def ok(self) -> bool:
        return self.outcome == Outcome.OK

    @property
    def message(self) -> str:
        return MESSAGES[self.outcome]


def begin_attempt(
    user: "User", scope: ThrottleScope, client_info: ClientInfo, *, method: Method = Method.CODE
) -> Attempt:
    """Lock the user's MFA state, then the authenticators, and read the scope under the lock."""
    state = lock_state(user.pk)
    devices = () if method == Method.PASSKEY else tuple(_locked_devices(user.pk))
    browser = scope.trusted_browser(state.user_id, state.epoch)
    return Attempt(
        user,
        state,
        devices[0] if len(devices) == 1 else None,
        client_info,
        scope=scope_label(browser, recovery=method == Method.RECOVERY),
        browser=browser,
        session_ref=scope.session_ref,
        method=method,
        devices=devices,
    )


def refuse_locked_out(attempt: Attempt) -> VerificationResult | None:
    """Refuse the attempt if its scope is locked out, whether the code is right or wrong."""
    until = attempt.locked_until(attempt.earlier_failures)
    if until is None:
        return None
    ledger = Verification.objects.in_scope(attempt.state.user_id, attempt.scope)
    last_failure = ledger.failures().order_by("-id").values_list("pk", flat=True).first() or 0
    row = ledger.filter(outcome=Outcome.THROTTLED, pk__gt=last_failure).order_by("-id").first()
    return VerificationResult(
        attempt, row or _write_refusal(attempt, Outcome.THROTTLED), locked_until=until
    )


def refuse_without_device(attempt: Attempt) -> VerificationResult:
    """Refuse an attempt of a user without an authenticator: one row in 15 minutes."""
    ledger = Verification.objects.in_scope(attempt.state.user_id, attempt.scope)
    recent = ledger.filter(outcome=Outcome.NO_DEVICE).since(attempt.now - SHORT.period)
    row = recent.order_by("-id").first()
    return VerificationResult(attempt, row or _write_refusal(attempt, Outcome.NO_DEVICE))


def refuse_repeated(attempt: Attempt, last_success: int | None) -> VerificationResult | None:
    """Refuse a used code without counting it, if the session that used it enters it again.

    That is a slip, as after a double click, and no attack: the code stays used, and whoever repeats
    it learns nothing new. None if another session verified last. One row for each success.
    """
    ledger = Verification.objects.filter(user_id=attempt.state.user_id)
    success = ledger.passed().only("pk").order_by("-pk").first()
    if success is None or success.pk != last_success:
        return None
    row = ledger.filter(outcome=Outcome.REPEATED, pk__gt=success.pk).first()
    return VerificationResult(attempt, row or _write_refusal(attempt, Outcome.REPEATED))


def succeed(attempt: Attempt) -> VerificationResult:
    """Write a success to the ledger and trust the browser it was entered in.

    The audit event follows with `record_success`, once the caller knows what was released.
    """
    verification = attempt.write(Outcome.OK)
    if attempt.browser is None:
        cookie = trust_browser(
            state=attempt.state, client_info=attempt.client_info, now=attempt.now
        )
        return VerificationResult(attempt, verification, browser_cookie=cookie)
    attempt.browser.last_used_at = attempt.now
    attempt.browser.save(update_fields=["last_used_at"])
    return VerificationResult(attempt, verification)


def record_success(result: VerificationResult, **released: Any) -> Event:
    """Record a success and what it released, in the same transaction. Report a used recovery code."""
    attempt = result.attempt
    event = attempt.record_outcome(result.verification, **released)
    if attempt.is_recovery:
        unused = RecoveryCode.objects.filter(user_id=attempt.state.user_id, used_at=None)
        emails.recovery_code_used(
            event=event,
            user=attempt.user,
            client_info=attempt.client_info,
            codes_left=unused.count(),
        )
    return event


def fail(attempt: Attempt, outcome: Outcome) -> VerificationResult:
    """Write a failure, and what it leads to: a lockout, the end of the session, the 30-day limit."""
    verification = attempt.write(outcome)
    attempt.record_outcome(verification)
    must_end_session = _session_failures(attempt) >= MAX_SESSION_FAILURES
    if must_end_session:
        event = attempt.record(EventName.SESSION_END, because="five incorrect codes in a row")
        emails.five_failures(event=event, user=attempt.user, client_info=attempt.client_info)
    failures = [attempt.now, *attempt.earlier_failures]
    lifted_at = attempt.state.lockout_lifted_at
    if is_month_limit_reached(failures, attempt.now, month_since=lifted_at):
        event = attempt.record(EventName.MFA_LOCK_OUT)
        is_trusted = attempt.browser is not None
        emails.month_limit_reached(event=event, user=attempt.user, is_trusted_browser=is_trusted)
    return VerificationResult(
        attempt,
        verification,
        locked_until=attempt.locked_until(failures),
        must_end_session=must_end_session,
    )


def recent_failures(user_id: int, scope: str, now: datetime) -> list[datetime]:
    """Return when a scope's failures were, newest first, as far as any limit looks back."""
    failures = _recent_failures(user_id, scope, now - MONTH.period)
    return [failure.at for failure in failures]


def _session_failures(attempt: Attempt) -> int:
    """Count the failures in a row of this session, up to as many as end it."""
    if not attempt.session_ref:
        return 0
    latest = _latest_in_session(attempt.state.user_id, attempt.session_ref)
    return len(list(takewhile(lambda verification: verification.outcome != Outcome.OK, latest)))


def _write_refusal(attempt: Attempt, outcome: Outcome) -> Verification:
    """Write the one row of refusals that repeat, so that a flood of attempts writes no flood of rows."""
    verification = attempt.write(outcome)
    attempt.record_outcome(verification)
    return verification
