"""A stored proof of an end, in words: for the page of a request and for exports."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format

LONGEST_LIST = 12  # databases named one by one


def proof_lines(proof: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the target was asked and what it answered, each as (term, answer). A proof of an earlier
    portal may lack some."""
    details = proof.get("details") or {}
    answers = (
        ("Login", _of(proof, "role_removed", "Gone", "Still there")),
        ("Sessions", _of(proof, "no_open_sessions", "None open", "Some open")),
        ("Remains", _remains(proof, details)),
        ("Checked", _checked(proof)),
        ("How", str(proof.get("method", ""))),
    )
    return [(term, answer) for term, answer in answers if answer]


def proof_in_a_line(proof: Mapping[str, Any]) -> str:
    """The same for a cell of a table, with the instant as a machine reads it."""
    at = f"checked {proof['checked_at']}" if proof.get("checked_at") else ""
    facts = ", ".join(filter(None, [proof_facts(proof), at]))
    return ": ".join(filter(None, [facts, str(proof.get("method", ""))]))


def proof_facts(proof: Mapping[str, Any]) -> str:
    """The three facts alone."""
    said = (
        _of(proof, "role_removed", "login gone", "login still there"),
        _of(proof, "no_open_sessions", "no session", "sessions open"),
        _of(proof, "nothing_left_behind", "nothing left", "something left"),
    )
    return ", ".join(filter(None, said))


def _of(proof: Mapping[str, Any], key: str, yes: str, no: str) -> str:
    return (yes if proof[key] else no) if key in proof else ""


def _remains(proof: Mapping[str, Any], details: Mapping[str, Any]) -> str:
    said = _of(proof, "nothing_left_behind", "None", "Some")
    read = [str(name) for name in details.get("databases_read", [])]
    if not said or not read:
        return said
    named = ", ".join(read[:LONGEST_LIST])
    more = f" and {len(read) - LONGEST_LIST} more" if len(read) > LONGEST_LIST else ""
    unread = details.get("databases_known_from_pg_shdepend_only", [])
    also = f"; {len(unread)} more from the server's own list of dependencies" if unread else ""
    return f"{said}. Looked in {named}{more}{also}"


def _checked(proof: Mapping[str, Any]) -> str:
    try:
        at = datetime.fromisoformat(str(proof.get("checked_at", "")))
    except ValueError:
        return ""
    local = timezone.localtime(at) if timezone.is_aware(at) else at
    return f"{date_format(local, 'j M Y, H:i:s')} by the target's clock"
