"""Makes our own templates fail in tests when they speak of something that is not there."""

import inspect
from pathlib import Path
from types import FrameType

from django.conf import settings
from django.template.base import FilterExpression


class UndefinedInTemplate(AssertionError):
    """A template of ours used a variable its view did not give."""


class Undefined(str):
    """For the template engine's ``string_if_invalid``: it renders ``text % variable`` and we raise.

    Templates of others (Django admin) and variables with a ``default`` filter may be undefined.
    """

    __slots__ = ()

    def __contains__(self, text: object) -> bool:
        return text == "%s"

    def __mod__(self, variable: object) -> str:
        frame = inspect.currentframe()
        expression = frame.f_back.f_locals.get("self") if frame and frame.f_back else None
        template = _template_of(frame)
        ours = template is not None and Path(template).is_relative_to(settings.BASE_DIR)
        if ours and not _has_default(expression):
            raise UndefinedInTemplate(f"{template} uses {variable}, which is not in its context")
        return ""


def _has_default(expression: object) -> bool:
    return isinstance(expression, FilterExpression) and any(
        function.__name__ in {"default", "default_if_none"} for function, _ in expression.filters
    )


def _template_of(frame: FrameType | None) -> str | None:
    while frame is not None:
        origin = getattr(frame.f_locals.get("self"), "origin", None)
        if origin is not None:
            return str(origin.name)
        frame = frame.f_back
    return None
