"""Text of a proof of removal, for the request page and exports."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format

MAX_DATABASES = 12  # listed by name
MAX_CHANGES = 20


def proof_lines(proof: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return what was checked and the result, as (term, answer). Older proofs may lack some."""
    lines = (
        ("Login", _answer(proof, "role_removed", "Removed", "Still exists")),
        ("Sessions", _answer(proof, "no_open_sessions", "None open", "Some open")),
        ("Left behind", _left_behind(proof)),
        ("Permission", _permission(proof)),
        ("Checked", _checked(proof)),
        ("Method", str(proof.get("method", ""))),
    )
    return [(term, answer) for term, answer in lines if answer]


def proof_summary(proof: Mapping[str, object]) -> str:
    """Return the proof on one line, with the time in ISO 8601."""
    at = f"checked {proof['checked_at']}" if proof.get("checked_at") else ""
    facts = ", ".join(filter(None, [proof_facts(proof), at]))
    return ": ".join(filter(None, [facts, str(proof.get("method", ""))]))


def proof_facts(proof: Mapping[str, object]) -> str:
    facts = (
        _answer(proof, "role_removed", "login removed", "login still exists"),
        _answer(proof, "no_open_sessions", "no open sessions", "sessions open"),
        _answer(proof, "nothing_left_behind", "nothing left behind", "objects left behind")
        if proof.get("nothing_left_behind") is not None
        else str(proof.get("left_behind_note", "")),
        _undone(proof),
    )
    return ", ".join(filter(None, facts))


def _undone(proof: Mapping[str, Any]) -> str:
    number = len(proof.get("permission_changes", []))
    return f"rights given to others undone: {number}" if number else ""


def _answer(proof: Mapping[str, Any], key: str, yes: str, no: str) -> str:
    return (yes if proof[key] else no) if key in proof else ""


def _left_behind(proof: Mapping[str, Any]) -> str:
    if proof.get("left_behind_note"):
        return str(proof["left_behind_note"])
    details = proof.get("details") or {}
    answer = _answer(proof, "nothing_left_behind", "Nothing", "Some objects")
    databases = [str(name) for name in details.get("databases_read", [])]
    if not answer or not databases:
        return answer
    names = ", ".join(databases[:MAX_DATABASES])
    more = f" and {len(databases) - MAX_DATABASES} more" if len(databases) > MAX_DATABASES else ""
    unread = details.get("databases_known_from_pg_shdepend_only", [])
    catalog = f"; {len(unread)} more by the server's dependency catalog" if unread else ""
    return f"{answer}. Checked {names}{more}{catalog}"


def _permission(proof: Mapping[str, Any]) -> str:
    """What the permission's role gave to others meanwhile; "" for proofs without a comparison."""
    changes = [str(text) for text in proof.get("permission_changes", [])]
    unchanged = _answer(proof, "permission_as_before", "As before activation", "Changed")
    if not changes:
        return unchanged
    names = "; ".join(changes[:MAX_CHANGES])
    more = f"; and {len(changes) - MAX_CHANGES} more" if len(changes) > MAX_CHANGES else ""
    return f"{unchanged}. Undone: {names}{more}"


def _checked(proof: Mapping[str, Any]) -> str:
    try:
        at = datetime.fromisoformat(str(proof.get("checked_at", "")))
    except ValueError:
        return ""
    local = timezone.localtime(at) if timezone.is_aware(at) else at
    return f"{date_format(local, 'j M Y, H:i:s')} by the target's clock"
