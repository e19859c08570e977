"""The flows on New Request, and what will happen with each."""

from dataclasses import dataclass

from django.utils import timezone

from accessflows.durations import spell
from accessflows.models import AccessFlow, FlowTarget
from mfa.window import WindowState
from requests_app.forms import RequestForm


@dataclass(frozen=True)
class Happening:
    """One line of what will happen. ``kind`` is ok (covered), you (your turn) or empty (later)."""

    kind: str
    icon: str
    word: str
    detail: str


@dataclass(frozen=True)
class Choice:
    """One flow to choose, its targets with whether they are ticked, and what will happen."""

    flow: AccessFlow
    key: str
    chosen: bool
    longest: str
    approvers: str
    targets: list[tuple[FlowTarget, bool]]
    outlook: list[Happening]


def choices_of(form: RequestForm, window: WindowState) -> list[Choice]:
    return [
        Choice(
            flow=flow,
            key=key,
            chosen=form.chosen == key,
            longest=spell(flow.max_duration),
            approvers=", ".join(_approver_names(flow)),
            targets=[(each, form.is_ticked(flow, each.pk)) for each in form.targets_of(flow)],
            outlook=outlook(flow, window),
        )
        for key, flow in form.flows.items()
    ]


def outlook(flow: AccessFlow, window: WindowState) -> list[Happening]:
    """Say what will happen when a person asks through a flow."""
    steps = _hours(flow)
    steps += [_mfa(window)] if flow.require_mfa else []
    if flow.approval == AccessFlow.Approval.AUTOMATIC:
        steps.append(Happening("ok", "i-check", "No approval needed", "It opens within seconds."))
    else:
        steps.append(Happening("", "i-users", "Approval needed", _approval(flow)))
    return [
        *steps,
        Happening("", "i-key", "Access opens", "A personal login, for the time you ask for."),
        Happening(
            "", "i-stop", "Access ends by itself", "The login is removed, open sessions are closed."
        ),
    ]


def _hours(flow: AccessFlow) -> list[Happening]:
    """Say when it can be asked for, if that is not always."""
    available = flow.availability
    if available is None:
        return []
    if available.holds_at(timezone.now()):
        return [Happening("ok", "i-clock", "Can be requested now", f"{available}.")]
    opens = available.next_opening(timezone.now())
    return [
        Happening("you", "i-clock", f"Opens {opens:%A at %H:%M}", f"Can be requested {available}.")
    ]


def _mfa(window: WindowState) -> Happening:
    if not window.enrolled:
        return Happening(
            "you", "i-shield-alert", "MFA needed", "Set it up first; the request waits meanwhile."
        )
    if not window.is_open:
        return Happening(
            "you", "i-shield-alert", "MFA needed", "You enter a six-digit code after this page."
        )
    return Happening(
        "ok",
        "i-shield-check",
        "MFA needed: already covered",
        f"Good for {window.minutes_left} more minutes.",
    )


def _approval(flow: AccessFlow) -> str:
    names = _approver_names(flow)
    if not names:
        return "Nobody is named as approver, so nobody can approve this."
    if flow.approval == AccessFlow.Approval.ALL_OF:
        return f"One from each of: {_listed(names, 'and')}."
    return f"Any one of: {_listed(names, 'or')}."


def _approver_names(flow: AccessFlow) -> list[str]:
    """Name the groups and people who approve, from what was prefetched."""
    people = [str(user).partition(" <")[0] for user in flow.approver_users.all()]
    return [group.name for group in flow.approver_groups.all()] + people


def _listed(names: list[str], last: str) -> str:
    *first, final = names
    return f"{', '.join(first)} {last} {final}" if first else final
