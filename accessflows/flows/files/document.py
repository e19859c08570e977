"""The format of a file of access flows: docs/flows.schema.json is made from these classes.

Keys are named as the terms of `FlowInput`. Whoever adds a term there adds it here.
"""

import unicodedata
from datetime import time
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from accessflows.flows.files.reader import FileRefused, Lines, Path, line_of, read_yaml
from accessflows.flows.validation import MAX_CONDITIONS, MAX_TEXT, MAX_TIERS, MAX_VALUES

MAX_FLOWS = 2000
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
TIME_PATTERN = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
Name = Annotated[str, Field(min_length=1, max_length=80)]
Duration = Annotated[
    str, Field(min_length=1, max_length=40, description="Such as 8 h, 90m or 1 h 30 min")
]
TimeOfDay = Annotated[str, Field(pattern=TIME_PATTERN, description="Such as 09:00")]
Count = Annotated[int, Field(ge=0, le=1000)]
Values = Annotated[list[Text], Field(min_length=1, max_length=MAX_VALUES)]
Names = Annotated[list[Text], Field(max_length=MAX_VALUES)]


class Entry(BaseModel):
    """A mapping with known keys, whose values are not converted."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ConditionEntry(Entry):
    """Emails of users, names of groups, email domains, or parts of them."""

    attribute: Literal["user", "group", "email_domain"]
    operator: Literal["is", "is_not", "starts_with", "contains"]
    values: Values


class ConditionSetEntry(Entry):
    """Conditions that a requester meets together."""

    conditions: Annotated[list[ConditionEntry], Field(min_length=1, max_length=MAX_CONDITIONS)]


class TargetEntry(Entry):
    """A resource of an integration, with the permissions that can be requested on it."""

    integration: Text
    resource: Text
    permissions: Values


class AvailabilityEntry(Entry):
    """When the flow can be requested. A time earlier than ``from`` is on the next day."""

    days: Annotated[
        list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]],
        Field(min_length=1, max_length=len(DAYS)),
    ]
    start: TimeOfDay = Field(alias="from")
    until: TimeOfDay
    time_zone: Text = Field(description="Such as Europe/Helsinki")


class EscalationEntry(Entry):
    """A group that can decide, too, if nobody has for this long."""

    after: Duration
    group: Text


class FlowEntry(Entry):
    """An access flow. Its name is what it is known by: another name is another flow."""

    name: Name
    description: Annotated[str, Field(max_length=200)] = ""
    active: bool = True
    require_mfa: bool
    mfa_strength: Literal["any", "phishing_resistant", "device_bound"] = "any"
    verify_every_request: bool = False
    requesters: Annotated[
        list[ConditionSetEntry],
        Field(min_length=1, max_length=MAX_CONDITIONS, description="Any of these sets suffices"),
    ]
    targets: Annotated[list[TargetEntry], Field(min_length=1, max_length=1000)]
    max_duration: Duration
    max_extensions: Count = 0
    extension_duration: Duration = "1 h"
    availability: AvailabilityEntry | None = Field(default=None, description="null means always")
    break_glass: bool = False
    approval: Literal["automatic", "any_of", "all_of"]
    approvals_required: Count = 1
    approver_groups: Names = Field(default_factory=list)
    approver_users: Names = Field(default_factory=list, description="Emails")
    escalation: Annotated[list[EscalationEntry], Field(max_length=MAX_TIERS)] = Field(
        default_factory=list
    )
    require_justification: bool = True
    ticket_pattern: Annotated[str, Field(max_length=MAX_TEXT)] = ""
    require_ticket: bool = False
    require_approver_reason: bool = False
    allow_self_approval: bool = False
    allow_delegation: bool = False
    agents: Literal["none", "request", "reveal"] = "none"


class FlowFile(Entry):
    """Access flows as code."""

    version: Literal[1]
    flows: Annotated[list[FlowEntry], Field(max_length=MAX_FLOWS)]


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **FlowFile.model_json_schema(by_alias=True),
    }


def read_file(text: str) -> tuple[FlowFile, Lines]:
    """Return a file and the lines of its values. Raises `FileRefused` with sentences."""
    value, lines = read_yaml(text)
    try:
        file = FlowFile.model_validate(value)
    except ValidationError as error:
        raise FileRefused([_sentence(one, lines) for one in error.errors()]) from None
    if sentences := _repeated_names(file, lines):
        raise FileRefused(sentences)
    return file, lines


def located(lines: Lines, path: Path, sentence: str) -> str:
    return f"Line {line_of(lines, path)}: {sentence}"


def look(name: str) -> str:
    """Return what a name looks like: the same for names that differ in case or in code points only."""
    return unicodedata.normalize("NFKC", name).casefold()


def parse_time(text: str) -> time:
    return time.fromisoformat(text)


def _repeated_names(file: FlowFile, lines: Lines) -> list[str]:
    seen: dict[str, str] = {}
    sentences = []
    for index, flow in enumerate(file.flows):
        appearance = look(flow.name)
        if first := seen.get(appearance):
            sentence = f"An access flow above is named {first}. Choose a name that looks different."
            sentences.append(located(lines, ("flows", index, "name"), sentence))
        seen[appearance] = flow.name
    return sentences


_SENTENCES = {
    "missing": "{key} is missing.",
    "extra_forbidden": "{key} is not known here.",
    "bool_type": "{key} must be true or false.",
    "string_type": "{key} must be text. Put it in quotes.",
    "int_type": "{key} must be a whole number.",
    "list_type": "{key} must be a list.",
    "model_type": "{key} must be a mapping.",
    "too_short": "{key} must not be empty.",
    "string_too_short": "{key} must not be empty.",
    "too_long": "{key} must have at most {max_length} entries.",
    "string_too_long": "{key} must have at most {max_length} characters.",
    "literal_error": "{key} must be {expected}.",
    "string_pattern_mismatch": "{key} must be a time such as 09:00.",
    "greater_than_equal": "{key} must be at least {ge}.",
    "less_than_equal": "{key} must be at most {le}.",
}


def _sentence(error: ErrorDetails, lines: Lines) -> str:
    path: Path = tuple(error["loc"])
    key = next((part for part in reversed(path) if isinstance(part, str)), "The file")
    pattern = _SENTENCES.get(error["type"], "{key} is not valid.")
    sentence = pattern.format(key=key, **error.get("ctx", {}))
    if error["type"] == "missing" and key == "require_mfa":
        sentence += " Write true or false: leaving it out never turns MFA off."
    return located(lines, path, sentence)
