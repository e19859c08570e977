"""Links that open and close a row of a list."""

from typing import Any

from django.http import QueryDict


def toggle_of(address: str, number: str, place: str, opened: bool) -> dict[str, Any]:  # noqa: FBT001
    """Return whether a row's details are shown, and the link that shows them, or hides them."""
    if opened:
        return {"opened": True, "expanded": "true", "toggle": f"{address}{place}"}
    return {"opened": False, "expanded": "false", "toggle": f"{address}open={number}{place}"}


def address_without(asked: QueryDict, name: str) -> str:
    """Return the query of a page up to where ``name`` may be added to it."""
    kept = asked.copy()
    kept.pop(name, None)
    return f"?{kept.urlencode()}&" if kept else "?"
