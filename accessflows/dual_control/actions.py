"""Protected actions, and the one place where a service stops for a second admin.

A service calls `require_confirmation` under its lock, before it writes. Without a confirmation it raises
`ConfirmationRequired`, so whoever calls it (a page, Django admin, a program) changes nothing.
`accessflows.dual_control.proposal_middleware` keeps the change as pending, and `confirm_change` calls the same
service again with a `Confirmation`. Each app declares its actions in a module ``protection``.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields, replace
from typing import Any

from django.conf import settings
from django.db import models
from django.utils.module_loading import import_string
from pydantic import TypeAdapter

from accessflows.exceptions import Refused
from audit.services import Metadata

STALE = "It was changed since this was proposed. Nothing was saved."
ACTIONS: dict[str, "ProtectedAction"] = {}
Difference = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """The validated arguments of a service, apart from its target and from who acts."""

    def as_kwargs(self) -> dict[str, Any]:
        return {item.name: getattr(self, item.name) for item in fields(self)}


@dataclass(frozen=True, kw_only=True)
class ProtectedAction:
    """What a second admin confirms, as its app declares it.

    ``service`` is the dotted path of the service that pages call, and ``parameter`` the name of its argument
    for the target; empty if it creates one. ``check`` is called with target and arguments before the
    transaction that applies a change, for what needs a target system. ``fingerprint`` is the state of a
    target that a change is made against, ``refusals`` are what the service raises, and ``page`` shows the
    target.
    """

    name: str
    label: str
    service: str
    arguments: type[Arguments]
    model: type[models.Model]
    page: str
    parameter: str = ""
    check: Callable[[Any, Any], None] | None = None
    fingerprint: Callable[[Any], str] = field(default=lambda _target: "")
    refusals: tuple[type[Exception], ...] = (Refused,)

    def dump(self, arguments: Arguments) -> Any:
        return TypeAdapter(self.arguments).dump_python(arguments, mode="json")

    def load(self, values: Any) -> Arguments:
        """Return the arguments, or raise ``pydantic.ValidationError`` for those of another release."""
        return TypeAdapter(self.arguments).validate_python(values)

    def apply(self, *, target: Any, arguments: Arguments, **context: Any) -> Any:
        """Call the service; return its target."""
        named = {self.parameter: target} if self.parameter else {}
        result = import_string(self.service)(**named, **arguments.as_kwargs(), **context)
        return target or result


@dataclass(frozen=True, kw_only=True)
class Change:
    """A change that a service was asked for, in words and as its arguments.

    ``differences`` are dictionaries as `differs` makes them, without secrets.
    """

    action: ProtectedAction
    target: models.Model | None
    title: str
    arguments: Arguments
    differences: tuple[Difference, ...] = ()
    weakenings: tuple[str, ...] = ()

    @property
    def target_id(self) -> str:
        return str(self.target.pk) if self.target else ""

    @property
    def fingerprint(self) -> str:
        return self.action.fingerprint(self.target) if self.target else ""


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """One change that a second admin has confirmed. Only `confirm_change` makes it."""

    change_id: int
    action: str
    target_id: str
    fingerprint: str
    arguments: Arguments
    proposed_by: str
    confirmed_by: str

    def covers(self, change: Change) -> bool:
        return (
            self.action == change.action.name
            and self.target_id == change.target_id
            and self.fingerprint == change.fingerprint
            and self.arguments == change.arguments
        )

    def as_metadata(self) -> Metadata:
        return {
            "proposed_change": self.change_id,
            "proposed_by": self.proposed_by,
            "confirmed_by": self.confirmed_by,
        }


class ConfirmationRequired(Exception):
    """Nothing was saved: the change weakens protection and needs a second admin."""

    def __init__(self, change: Change) -> None:
        super().__init__(f"{change.title}: this change needs a second admin.")
        self.change = change


def declare(action: ProtectedAction) -> ProtectedAction:
    """Add an action to those that a second admin can confirm."""
    ACTIONS[action.name] = action
    return action


def differs(term: str, before: object, after: object) -> Difference:
    """Return a difference in words; an empty ``before`` is of something new."""
    return {"term": term, "before": str(before), "after": str(after), "added": (), "removed": ()}


def require_confirmation(
    confirmation: Confirmation | None,
    *,
    weakenings: Iterable[str],
    describe: Callable[[], Change],
) -> Metadata:
    """Raise `ConfirmationRequired` if a change weakens protection and no second admin has confirmed it.

    Call it under the lock of what is changed. ``weakenings`` are sentences on how it does; what they and
    ``describe`` cost is only paid with ``DUAL_CONTROL``. Returns what the event of the change names:
    both admins. Raises `Refused` if something else was confirmed, or against another state.
    """
    if confirmation is not None:
        if not confirmation.covers(describe()):
            raise Refused(STALE)
        return confirmation.as_metadata()
    if settings.DUAL_CONTROL and (reasons := tuple(weakenings)):
        raise ConfirmationRequired(replace(describe(), weakenings=reasons))
    return {}
