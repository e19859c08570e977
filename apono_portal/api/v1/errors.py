"""The errors that operations document."""

ERRORS = frozenset({401, 403, 404, 422, 429})
CHANGES = ERRORS | {409}
