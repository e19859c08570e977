"""From the names in a file to the ids of flows' terms: exact names, to the letter."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db.models import Model, QuerySet

from accessflows.flows.files.document import (
    DAYS,
    ConditionEntry,
    FlowEntry,
    FlowFile,
    located,
    look,
    parse_time,
)
from accessflows.flows.files.reader import MAX_ERRORS, Lines, Path
from accessflows.flows.terms import FlowInput
from accessflows.models import Integration, Permission, Resource
from accessflows.requesters import Condition, value_column
from apono_portal.core.formatting.durations import parse_duration

# Terms that a file and `FlowInput` have under one name, with values of one type.
SAME = (
    *("name", "description", "require_mfa", "mfa_strength", "verify_every_request"),
    *("max_extensions", "break_glass", "approval", "approvals_required"),
    *("require_justification", "ticket_pattern", "require_ticket", "require_approver_reason"),
    *("allow_self_approval", "allow_delegation", "agents"),
)
BATCH = 500


@dataclass
class Names:
    """The ids of the names in a file, and what is wrong with those that have none."""

    lines: Lines
    users: dict[str, int]
    groups: dict[str, int]
    resources: dict[tuple[str, str], int]
    permissions: dict[tuple[str, str], int]
    integrations: dict[str, int]
    errors: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, file: FlowFile, lines: Lines) -> "Names":
        users, groups = _named(file)
        integrations = {target.integration for flow in file.flows for target in flow.targets}
        known = dict(_rows(Integration.objects, "name", integrations))
        return cls(
            lines=lines,
            users=dict(_rows(get_user_model()._default_manager, "email", users)),
            groups=dict(_rows(Group.objects, "name", groups)),
            resources=_offered(Resource.objects.all(), known),
            permissions=_offered(Permission.objects.all(), known),
            integrations=known,
        )

    def terms_of(self, entry: FlowEntry, path: Path) -> FlowInput:
        """Return the terms that an entry describes. What is wrong is added to ``errors``."""
        values: dict[str, Any] = {name: getattr(entry, name) for name in SAME}
        values["requesters"] = tuple(
            tuple(
                self._condition(condition, (*path, "requesters", number, "conditions", position))
                for position, condition in enumerate(one.conditions)
            )
            for number, one in enumerate(entry.requesters)
        )
        values["targets"] = self._targets(entry, path)
        values["approver_users"] = frozenset(
            self._users(entry.approver_users, (*path, "approver_users"))
        )
        values["approver_groups"] = frozenset(
            self._groups(entry.approver_groups, (*path, "approver_groups"))
        )
        values |= self._durations(entry, path)
        return FlowInput(**values, **_availability(entry))

    def _condition(self, entry: ConditionEntry, path: Path) -> Condition:
        column = value_column(entry.attribute, entry.operator)
        self._refuse_repeated(entry.values, (*path, "values"))
        if column == "text":
            return Condition(entry.attribute, entry.operator, tuple(sorted(set(entry.values))))
        find = self._users if column == "user" else self._groups
        ids = find(entry.values, (*path, "values"))
        return Condition(entry.attribute, entry.operator, tuple(sorted(set(ids))))

    def _users(self, emails: list[str], path: Path) -> list[int]:
        return self._ids(emails, self.users, "user", path)

    def _groups(self, names: list[str], path: Path) -> list[int]:
        return self._ids(names, self.groups, "group", path)

    def _ids(self, names: list[str], known: dict[str, int], kind: str, path: Path) -> list[int]:
        for position, name in enumerate(names):
            if name not in known:
                self._refuse(
                    (*path, position), f"There is no {kind} {name}.{self._hint(kind, name)}"
                )
        return [known[name] for name in names if name in known]

    def _targets(self, entry: FlowEntry, path: Path) -> frozenset[tuple[int, int]]:
        pairs = set()
        for number, target in enumerate(entry.targets):
            at = (*path, "targets", number)
            resource = self.resources.get((target.integration, target.resource))
            if target.integration not in self.integrations:
                hint = self._hint("integration", target.integration)
                self._refuse(at, f"There is no integration {target.integration}.{hint}")
            elif resource is None:
                self._refuse(at, f"There is no resource {target.resource} on {target.integration}.")
            for position, name in enumerate(target.permissions):
                permission = self.permissions.get((target.integration, name))
                place = (*at, "permissions", position)
                if resource is None:
                    break
                if permission is None:
                    self._refuse(place, f"There is no permission {name} on {target.integration}.")
                elif (resource, permission) in pairs:
                    self._refuse(place, f"{name} on {target.resource} is here twice.")
                else:
                    pairs.add((resource, permission))
        return frozenset(pairs)

    def _durations(self, entry: FlowEntry, path: Path) -> dict[str, Any]:
        def parse(text: str, *key: str | int) -> Any:
            try:
                return parse_duration(text)
            except ValueError as error:
                self._refuse((*path, *key), str(error))
                return parse_duration("1 h")

        escalation = [
            (parse(step.after, "escalation", number, "after"), group)
            for number, step in enumerate(entry.escalation)
            for group in self._groups([step.group], (*path, "escalation", number))
        ]
        return {
            "max_duration": parse(entry.max_duration, "max_duration"),
            "extension_duration": parse(entry.extension_duration, "extension_duration"),
            "escalation": tuple(escalation),
        }

    def _refuse_repeated(self, values: list[str], path: Path) -> None:
        for position, value in enumerate(values):
            if value in values[:position]:
                self._refuse((*path, position), f"{value} is here twice.")

    def _hint(self, kind: str, name: str) -> str:
        """Return a question with the name that differs in case or in code points only."""
        if len(self.errors) >= MAX_ERRORS:
            return ""
        model, column = _MODELS[kind]
        rows = model()._default_manager.filter(**{f"{column}__iexact": name})
        similar: str | None = rows.values_list(column, flat=True).first()
        return f" Did you mean {similar}?" if similar and look(similar) == look(name) else ""

    def _refuse(self, path: Path, sentence: str) -> None:
        self.errors.append(located(self.lines, path, sentence))


def _availability(entry: FlowEntry) -> dict[str, Any]:
    if entry.availability is None:
        return {}
    return {
        "available_days": tuple(sorted({DAYS.index(day) for day in entry.availability.days})),
        "available_from": parse_time(entry.availability.start),
        "available_until": parse_time(entry.availability.until),
        "available_zone": entry.availability.time_zone,
    }


def _named(file: FlowFile) -> tuple[set[str], set[str]]:
    """Return all emails of users and names of groups in a file."""
    users, groups = set[str](), set[str]()
    for flow in file.flows:
        users.update(flow.approver_users)
        groups.update(flow.approver_groups)
        groups.update(step.group for step in flow.escalation)
        for condition in (one for conditions in flow.requesters for one in conditions.conditions):
            column = value_column(condition.attribute, condition.operator)
            if column != "text":
                (users if column == "user" else groups).update(condition.values)
    return users, groups


def _rows(rows: Any, column: str, names: Iterable[str]) -> Iterable[tuple[str, int]]:
    ordered = sorted(names)
    for start in range(0, len(ordered), BATCH):
        batch = rows.filter(**{f"{column}__in": ordered[start : start + BATCH]})
        yield from batch.values_list(column, "pk")


def _offered(rows: QuerySet[Any], integrations: dict[str, int]) -> dict[tuple[str, str], int]:
    offered = rows.filter(integration__in=integrations.values())
    return {
        (integration, name): pk
        for integration, name, pk in offered.values_list("integration__name", "name", "pk")
    }


_MODELS: dict[str, tuple[Callable[[], type[Model]], str]] = {
    "user": (get_user_model, "email"),
    "group": (lambda: Group, "name"),
    "integration": (lambda: Integration, "name"),
}
