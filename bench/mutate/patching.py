"""Breaking a function in a process that runs: its code is taken out and the broken one put in."""

import gc
from collections import defaultdict
from collections.abc import Iterator
from types import CodeType, FunctionType

Functions = dict[tuple[str, str], list[FunctionType]]


class CannotPatch(Exception):
    """The broken code does not fit the functions that are there, as when a closure has changed."""


def functions_of(files: set[str]) -> Functions:
    """Return the functions of these files that live in this process, by file name and full name."""
    found: Functions = defaultdict(list)
    for each in gc.get_objects():
        if type(each) is FunctionType and each.__code__.co_filename in files:
            found[each.__code__.co_filename, each.__code__.co_qualname].append(each)
    return found


def render_deferred(functions: Functions, broken: CodeType, scope: str) -> None:
    """Give every function of a scope, and what it has made so far, the code of the broken file."""
    codes = {code.co_qualname: code for code in _codes_in(broken)}
    inside = f"{scope}.<locals>."
    found = False
    for (filename, name), living in functions.items():
        if filename != broken.co_filename or not (name == scope or name.startswith(inside)):
            continue
        for function in living:
            code = codes.get(name)
            if code is None or code.co_freevars != function.__code__.co_freevars:
                raise CannotPatch(name)
            function.__code__ = code
            found = True
    if not found:
        raise CannotPatch(scope)


def _codes_in(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes_in(constant)
