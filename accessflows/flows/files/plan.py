"""What applying a file of access flows would change. Nothing here writes.

A plan is bound to the state it was made from: its digest covers all flows, the rows that the file's
names stand for, and who gains or loses. Applying it computes the plan anew and compares the two.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Any

from accessflows.exceptions import InvalidInput, Refused
from accessflows.flows.files.document import FlowEntry, located, look, read_file
from accessflows.flows.files.names import Names
from accessflows.flows.files.reader import FileRefused, Lines, Path
from accessflows.flows.files.writer import optional_values
from accessflows.flows.impact import DraftImpact, impact_of_draft
from accessflows.flows.selectors import requester_sets_of
from accessflows.flows.terms import FlowInput
from accessflows.flows.validation import check_terms
from accessflows.models import MAX_SOURCE_LENGTH, AccessFlow
from accessflows.requesters import Sets
from apono_portal.core.crypto.authenticity import is_authentic_text, mac_of_text

MAC_LABEL = "plan of access flows"
ALTERED = "This is no plan of this portal, or it was altered. Make a new plan."
MAX_PLAN_BYTES = 8 * 1_048_576
MAX_COMMIT_LENGTH = 64


class Missing(StrEnum):
    """What happens to a flow that this file manages and no longer contains."""

    KEEP = "keep"
    DEACTIVATE = "deactivate"
    RELEASE = "release"


@dataclass(frozen=True, kw_only=True)
class FlowSource:
    """A file to apply: its text, the name and commit to record, and what to do with missing flows."""

    document: str
    file: str
    commit: str = ""
    missing: Missing = Missing.KEEP

    def check(self) -> None:
        """Raise `Refused` for a name or a commit that cannot be recorded."""
        for what, text, longest in (
            ("file", self.file, MAX_SOURCE_LENGTH),
            ("commit", self.commit, MAX_COMMIT_LENGTH),
        ):
            if len(text) > longest or not text.isprintable() or text != text.strip():
                raise Refused(f"The name of a {what} has at most {longest} visible characters.")
        if not self.file:
            raise Refused("Give the file a name.")


@dataclass(frozen=True, kw_only=True)
class FlowChange:
    """What changes about one flow; ``flow`` is None for a new one.

    ``terms`` are the new terms, ``is_active`` and ``is_managed`` the new state, each None if it stays.
    """

    name: str
    flow: AccessFlow | None = None
    terms: FlowInput | None = None
    is_active: bool | None = None
    is_managed: bool | None = None
    impact: DraftImpact | None = None

    @property
    def actions(self) -> list[str]:
        """Return what happens, in the order it does."""
        happens = {
            "create": self.flow is None,
            "change": self.flow is not None and self.terms is not None,
            "activate": self.flow is not None and self.is_active is True,
            "deactivate": self.is_active is False,
            "manage": self.flow is not None and self.is_managed is True,
            "release": self.is_managed is False,
        }
        return [action for action, is_so in happens.items() if is_so]

    @property
    def weakened(self) -> list[str]:
        """Return what protects less afterwards, in sentences."""
        terms = list(self.impact.weakened) if self.impact else []
        if self.flow is not None and self.is_active:
            return ["It can be requested through again.", *terms]
        return terms

    def as_dict(self) -> dict[str, Any]:
        """Return the change as JSON values."""
        impact = self.impact
        return {
            "flow": self.name,
            "actions": self.actions,
            "weakened": self.weakened,
            "differences": [asdict(one) for one in impact.differences] if impact else [],
            "summary": list(impact.summary) if impact else [],
            "reach": impact.reach._asdict() if impact else None,
            "gaining": asdict(impact.gaining) if impact else None,
            "losing": asdict(impact.losing) if impact else None,
            "empty_groups": list(impact.empty_groups) if impact else [],
            "delegations": list(impact.delegations) if impact else [],
            "fingerprint": impact.fingerprint if impact else "",
        }


@dataclass(frozen=True, kw_only=True)
class FlowPlan:
    """What applying a source changes, and the digest of the state that this was computed from.

    ``left_out`` are flows that the file manages, no longer contains, and keeps as they are.
    """

    source: FlowSource
    changes: list[FlowChange]
    unchanged: int
    left_out: list[str]
    digest: str

    def as_text(self) -> str:
        """Return the plan as the signed JSON text that `read_plan` accepts."""
        content = {
            "format": 1,
            **asdict(self.source),
            "digest": self.digest,
            "changes": [change.as_dict() for change in self.changes],
        }
        return json.dumps({**content, "mac": mac_of_text(MAC_LABEL, _canonical(content))}, indent=1)


def read_plan(text: str) -> tuple[FlowSource, str]:
    """Return the source and the digest of a plan. Raises `Refused` unless this portal wrote it."""
    if len(text) > MAX_PLAN_BYTES:
        raise Refused(ALTERED)
    try:
        content = json.loads(text)
        mac = content.pop("mac")
        is_ours = is_authentic_text(MAC_LABEL, _canonical(content), mac)
        source = FlowSource(
            document=content["document"],
            file=content["file"],
            commit=content["commit"],
            missing=Missing(content["missing"]),
        )
        digest = content["digest"]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise Refused(ALTERED) from None
    if not is_ours:
        raise Refused(ALTERED)
    return source, digest


def is_same_digest(one: str, other: str) -> bool:
    return hmac.compare_digest(one, other)


def make_plan(source: FlowSource) -> FlowPlan:
    """Compare a file with the flows as they are. Raises `FileRefused` with all that is wrong."""
    source.check()
    file, lines = read_file(source.document)
    flows = list(AccessFlow.objects.order_by("name"))
    planner = _Planner(source, lines, flows, Names.of(file, lines))
    changes = [*planner.changes(file.flows)]
    if errors := [*planner.names.errors, *planner.errors]:
        raise FileRefused(errors)
    contained = {entry.name for entry in file.flows}
    missing = [
        flow for flow in flows if flow.managed_by_file == source.file and flow.name not in contained
    ]
    unchanged = len(file.flows) - len(changes)
    if source.missing != Missing.KEEP:
        changes += [_end_of(flow, source.missing) for flow in missing]
    return FlowPlan(
        source=source,
        changes=changes,
        unchanged=unchanged,
        left_out=[flow.name for flow in missing] if source.missing == Missing.KEEP else [],
        digest=_digest(flows, changes),
    )


@dataclass
class _Planner:
    source: FlowSource
    lines: Lines
    flows: list[AccessFlow]
    names: Names

    errors: list[str] = field(default_factory=list)

    @cached_property
    def _by_name(self) -> dict[str, AccessFlow]:
        return {flow.name: flow for flow in self.flows}

    @cached_property
    def _by_look(self) -> dict[str, str]:
        return {look(flow.name): flow.name for flow in self.flows}

    def changes(self, entries: Iterable[FlowEntry]) -> Iterator[FlowChange]:
        for index, entry in enumerate(entries):
            path = ("flows", index)
            flow = self._by_name.get(entry.name)
            known_errors = len(self.names.errors)
            terms = self.names.terms_of(entry, path)
            if self._is_refused(entry, flow, path) or len(self.names.errors) > known_errors:
                continue
            change = self._change(entry, flow, terms, path)
            if change and change.actions:
                yield change

    def _is_refused(self, entry: FlowEntry, flow: AccessFlow | None, path: Path) -> bool:
        similar = self._by_look.get(look(entry.name), entry.name)
        if flow is None and similar != entry.name:
            return self._refuse(path, "name", f"There is an access flow {similar}. Use its name.")
        if flow is None:
            return False
        if flow.managed_by_file not in {"", self.source.file}:
            sentence = f"{flow} is managed by {flow.managed_by_file}. Release it there first."
            return self._refuse(path, "name", sentence)
        omitted = set(optional_values(flow, FlowInput.of(flow))) - entry.model_fields_set
        for key in sorted(omitted):
            sentence = (
                f"{key} is left out, but {flow} has a value for it. Write the value you want."
            )
            self._refuse(path, key, sentence)
        return bool(omitted)

    def _change(
        self, entry: FlowEntry, flow: AccessFlow | None, terms: FlowInput, path: Path
    ) -> FlowChange | None:
        if flow is None:
            is_active = None if entry.active else False
            if not self._is_valid(terms, None, path):
                return None
            impact = impact_of_draft(terms, None)
            return FlowChange(
                name=terms.name, terms=terms, is_active=is_active, is_managed=True, impact=impact
            )
        terms = _in_order_of(flow, terms)
        is_changed = _comparable(terms) != _comparable(FlowInput.of(flow))
        if is_changed and not self._is_valid(terms, flow, path):
            return None
        return FlowChange(
            name=terms.name,
            flow=flow,
            terms=terms if is_changed else None,
            is_active=entry.active if entry.active != flow.is_active else None,
            is_managed=None if flow.managed_by_file else True,
            impact=impact_of_draft(terms, flow) if is_changed else None,
        )

    def _is_valid(self, terms: FlowInput, flow: AccessFlow | None, path: Path) -> bool:
        """Check the terms as the form's are. Errors are added, at the line of their key."""
        try:
            check_terms(terms, flow=flow)
        except InvalidInput as refusal:
            for name, sentence in refusal.errors.items():
                self._refuse(path, _KEYS.get(name, name.partition("_group_")[0]), sentence)
            return False
        return True

    def _refuse(self, path: Path, key: str, sentence: str) -> bool:
        self.errors.append(located(self.lines, (*path, key), sentence))
        return True


_KEYS = {"available_days": "availability"}


def _end_of(flow: AccessFlow, missing: Missing) -> FlowChange:
    """Return what happens to a flow that the file no longer contains. Pages may change it again."""
    is_active = False if missing == Missing.DEACTIVATE and flow.is_active else None
    return FlowChange(name=flow.name, flow=flow, is_active=is_active, is_managed=False)


def _in_order_of(flow: AccessFlow, terms: FlowInput) -> FlowInput:
    """Return the terms with the conditions in the order of the flow, if they are the same."""
    own = requester_sets_of(flow)
    return replace(terms, requesters=own) if _sorted(own) == _sorted(terms.requesters) else terms


def _comparable(terms: FlowInput) -> tuple[FlowInput, list[list[str]]]:
    """Return the terms so that equal ones mean the same, in whatever order conditions are."""
    days = tuple(sorted(terms.available_days))
    return replace(terms, requesters=(), available_days=days), _sorted(terms.requesters)


def _sorted(sets: Sets) -> list[list[str]]:
    return sorted(
        sorted(
            f"{one.attribute} {one.operator} {sorted(map(str, one.values))}" for one in conditions
        )
        for conditions in sets
    )


def _digest(flows: Iterable[AccessFlow], changes: Iterable[FlowChange]) -> str:
    state = {
        "flows": [
            [
                *(flow.pk, flow.name, flow.version, flow.fingerprint),
                *(flow.is_active, flow.managed_by_file),
            ]
            for flow in flows
        ],
        "changes": [change.as_dict() for change in changes],
    }
    return hashlib.sha256(_canonical(state).encode()).hexdigest()


def _canonical(content: object) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"))
