"""Query strings of links that keep a page's filters."""

from django.http import QueryDict


def query_without(params: QueryDict, name: str) -> str:
    """Return the query string without a parameter, so that another value of it can be appended."""
    rest = params.copy()
    rest.pop(name, None)
    return f"?{rest.urlencode()}&" if rest else "?"
