"""Validation of what requesters, approvers and admins type."""

import unicodedata
from datetime import timedelta

from accessflows.models import AccessFlow
from accessflows.tickets import matches_pattern, parse_ticket_references, pattern_example
from apono_portal.core.formatting.durations import format_duration
from requests_app.exceptions import RequestRefused

MAX_JUSTIFICATION_LENGTH = 2000
MAX_REASON_LENGTH = 500


def check_duration(duration: timedelta, flow: AccessFlow) -> None:
    if duration <= timedelta(0):
        raise RequestRefused("Enter a duration above zero.", field="duration")
    if duration > flow.max_duration:
        raise RequestRefused(
            f"Maximum for {flow.name} is {format_duration(flow.max_duration)}.", field="duration"
        )


def clean_justification(text: str, *, required: bool) -> str:
    """Return the justification with normalized line breaks, or refuse it."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    if len(text) > MAX_JUSTIFICATION_LENGTH:
        raise RequestRefused(
            f"The justification has {len(text):,} characters; the maximum is "
            f"{MAX_JUSTIFICATION_LENGTH:,}. Name the task and link to the details.",
            field="justification",
        )
    _refuse_control_characters(text, field="justification")
    if required and not _is_meaningful(text):
        raise RequestRefused(
            "Explain in words what you will do and why. Approvers see it, and it is in the audit log.",
            field="justification",
        )
    return text


def clean_reason(text: str, *, required: bool) -> str:
    """Return the reason on one line, or refuse it."""
    text = " ".join(text.split())
    if len(text) > MAX_REASON_LENGTH:
        raise RequestRefused(
            f"The reason has {len(text):,} characters; the maximum is {MAX_REASON_LENGTH}.",
            field="reason",
        )
    _refuse_control_characters(text, field="reason")
    if required and not _is_meaningful(text):
        raise RequestRefused("Enter a reason in words.", field="reason")
    return text


def clean_ticket(text: str, flow: AccessFlow) -> str:
    """Return the ticket references, comma-separated, or refuse them."""
    try:
        references = parse_ticket_references(text)
    except ValueError as error:
        raise RequestRefused(str(error), field="ticket") from None
    example = f", for example {pattern_example(flow.ticket_pattern)}" if flow.ticket_pattern else ""
    if flow.require_ticket and not references:
        raise RequestRefused(f"{flow.name} requires a ticket{example}.", field="ticket")
    if references and not any(matches_pattern(ref, flow.ticket_pattern) for ref in references):
        raise RequestRefused(f"Enter a ticket that {flow.name} accepts{example}.", field="ticket")
    return ", ".join(references)


def _refuse_control_characters(text: str, *, field: str) -> None:
    if any(unicodedata.category(char) in {"Cc", "Cs"} and char not in "\n\t" for char in text):
        raise RequestRefused(
            "Control characters are not allowed. Type the text, or paste it as plain text.",
            field=field,
        )


def _is_meaningful(text: str) -> bool:
    """Whether the text has two different letters or digits, and is not one word repeated."""
    characters = "".join(char for char in text.casefold() if char.isalnum())
    return len(set(characters)) > 1 and characters not in (characters * 2)[1:-1]
