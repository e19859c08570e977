"""Makes our own templates fail in tests when they print something that is not there."""

import sys
from pathlib import Path

from django.conf import settings
from django.template.base import FilterExpression, VariableNode


class UndefinedInTemplate(AssertionError):
    """A template of ours printed a variable its view did not give."""


class Undefined(str):
    """The empty string, for the template engine's ``string_if_invalid``.

    The engine asks for its truth when a variable is missing: that is where we can refuse. Templates
    of others (Django admin) may print nothing, and ours where a filter of theirs gives a default.
    """

    __slots__ = ()

    def __bool__(self) -> bool:
        expression = sys._getframe(1).f_locals.get("self")
        if isinstance(expression, FilterExpression):
            node = sys._getframe(2).f_locals.get("self")
            if isinstance(node, VariableNode) and _is_ours(node) and not expression.filters:
                raise UndefinedInTemplate(f"{node.origin.name} prints {expression.var}")
        return False


def _is_ours(node: VariableNode) -> bool:
    return Path(node.origin.name).is_relative_to(settings.BASE_DIR)
