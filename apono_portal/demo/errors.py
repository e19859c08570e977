"""Errors of the demo."""


class DemoError(Exception):
    """The message says what happened and what to do about it."""
