"""``{% url %}`` and ``|date`` as Django has them, and ``{% kept %}``, for pages that use them by the hundred.

An address is looked up once for each name and then only given its numbers; a date format is read once.
What is out of the ordinary goes Django's own way. ``{% kept "part.html" with a=b only %}`` includes a
part and keeps what it drew for these values. They are built-ins of every template (settings).
"""

from datetime import datetime
from functools import cache, lru_cache
from typing import Any

from django.conf import settings
from django.template import Library, Node, TemplateSyntaxError
from django.template.base import Parser, Token
from django.template.context import Context
from django.template.defaultfilters import date as any_date
from django.template.defaulttags import URLNode
from django.template.defaulttags import url as any_url
from django.template.loader import get_template
from django.template.loader_tags import do_include
from django.urls import NoReverseMatch, get_script_prefix, get_urlconf, reverse
from django.utils.dates import MONTHS
from django.utils.html import conditional_escape

register = Library()

MOST_KEPT = 1000
STAND_IN = 10**18  # no number of ours is as large
_PARTS = {
    "j": "{at.day}",
    "F": "{month}",
    "M": "{month:.3}",
    "Y": "{at.year:04}",
    "H": "{at.hour:02}",
    "i": "{at.minute:02}",
    "s": "{at.second:02}",
}
_known: dict[Any, str] = {}


class AddressNode(URLNode):
    def render(self, context: Context) -> str:
        name = self.view_name.resolve(context)
        args = [each.resolve(context) for each in self.args]
        kwargs = {key: each.resolve(context) for key, each in self.kwargs.items()}
        numbers = [*args, *kwargs.values()]
        if self.asvar or not all(type(each) is int and each >= 0 for each in numbers):
            return str(super().render(context))
        match = getattr(getattr(context, "request", None), "resolver_match", None)
        app = getattr(match, "namespace", None)
        key = (name, len(args), tuple(kwargs), app, get_urlconf(), get_script_prefix())
        if key not in _known:
            try:
                _known[key] = _with_stand_ins(name, len(args), list(kwargs), app)
            except NoReverseMatch:
                return str(super().render(context))
        address = _known[key]
        for place, number in enumerate(numbers):
            address = address.replace(str(STAND_IN + place), str(number))
        return address


def _with_stand_ins(name: str, args: int, kwargs: list[str], app: str | None) -> str:
    numbers = range(STAND_IN, STAND_IN + args + len(kwargs))
    named = dict(zip(kwargs, numbers[args:], strict=True))
    positional, keyword = list(numbers[:args]) or None, named or None
    return conditional_escape(reverse(name, args=positional, kwargs=keyword, current_app=app))


@register.tag
def url(parser: Parser, token: Token) -> Node:
    found: Any = any_url(parser, token)
    return AddressNode(found.view_name, found.args, found.kwargs, found.asvar)


class KeptNode(Node):
    def __init__(self, name: str, values: dict[str, Any]) -> None:
        self._name, self._names, self._values = name, tuple(values), list(values.values())

    def render(self, context: Context) -> str:
        given = [each.resolve(context) for each in self._values]
        draw = _drawn.__wrapped__ if settings.DEBUG else _drawn
        return draw(self._name, self._names, get_script_prefix(), *given)


@lru_cache(
    maxsize=MOST_KEPT, typed=True
)  # text that is safe is of another type than text that is not
def _drawn(name: str, names: tuple[str, ...], prefix: str, *values: Any) -> str:
    return get_template(name).render(dict(zip(names, values, strict=True)))


@register.tag
def kept(parser: Parser, token: Token) -> Node:
    """The values are all a part is drawn from, so ``only`` stands at the end. They must be plain ones."""
    found: Any = do_include(parser, token)
    if not found.isolated_context:
        raise TemplateSyntaxError("kept draws from the values it is given only: end it with only.")
    return KeptNode(found.template.var, found.extra_context)


@register.filter(expects_localtime=True)
def date(value: Any, arg: str | None = None) -> str:
    if not isinstance(value, datetime) or not isinstance(arg, str):
        return str(any_date(value, arg))
    if arg == "c":
        return value.isoformat()
    pattern = _pattern(arg)
    if pattern is None:
        return str(any_date(value, arg))
    return pattern.format(at=value, month=MONTHS[value.month])


@cache
def _pattern(arg: str) -> str | None:
    """Return a date format for `str.format`; None if it asks for more than the usual parts."""
    if any((sign.isalpha() and sign not in _PARTS) or sign in "\\{}" for sign in arg):
        return None
    return "".join(_PARTS.get(sign, sign) for sign in arg)
