"""Templates hold no inline style, script or handler: the Content-Security-Policy stays strict."""

import re

import pytest

from tests.house.sources import name_of, template_files

INLINE = re.compile(
    r"""<style\b | <[^>]*\sstyle\s*= | <[^>]*\son[a-z]+\s*= | javascript: |
        <script\b(?![^>]*\bsrc=)(?![^>]*type="application/json")""",
    re.IGNORECASE | re.VERBOSE,
)
UNSAFE = re.compile(r"\|\s*safe\b|autoescape\s+off|mark_safe")


@pytest.mark.parametrize("path", list(template_files()), ids=name_of)
def test_template_has_nothing_inline(path):
    assert INLINE.findall(path.read_text()) == []


@pytest.mark.parametrize("path", list(template_files()), ids=name_of)
def test_template_escapes_everything(path):
    assert UNSAFE.findall(path.read_text()) == []


@pytest.mark.parametrize(
    "text",
    [
        "<style>p{}</style>",
        '<p style="color:red">',
        '<a\n onclick="go()">',
        '<a href="javascript:go()">',
        "<script>go()</script>",
    ],
)
def test_inline_code_would_be_found(text):
    assert INLINE.search(text)
