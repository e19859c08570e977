"""Templates escape everything they print."""

import re

import pytest

from tests.architecture.sources import name_of, template_files

UNSAFE = re.compile(r"\|\s*(?:safe|safeseq)\b|autoescape\s+off")


@pytest.mark.parametrize("path", list(template_files()), ids=name_of)
def test_template_escapes_everything(path):
    assert UNSAFE.findall(path.read_text()) == []
