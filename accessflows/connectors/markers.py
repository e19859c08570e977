"""Marks of grants' accounts on targets that give accounts no identifier of their own."""

import hashlib


def derive_mark(login: str) -> str:
    """Return the mark of a grant's account: the same at every attempt, unlike any other grant's."""
    return hashlib.sha256(b"apono-portal account " + login.encode()).hexdigest()[:16]
