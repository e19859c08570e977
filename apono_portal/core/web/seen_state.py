"""Detecting that somebody else saved between a form's page and its submission."""

import hashlib
import json
from collections.abc import Mapping

CHANGED_MEANWHILE = (
    "Someone else saved this while you were editing. Your changes were not saved; reopen it to see the "
    "current version."
)


def digest_of(state: Mapping[str, object]) -> str:
    """Return the digest of what a form shows. A form sent without it matches no state."""
    return hashlib.sha256(json.dumps(state, sort_keys=True, default=str).encode()).hexdigest()
