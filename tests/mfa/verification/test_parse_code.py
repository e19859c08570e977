"""What counts as a code, before anything is counted."""

import pytest

from mfa.exceptions import MalformedCode
from mfa.models import Verification
from mfa.verification.forms import CodeForm
from mfa.verification.services import parse_code
from tests.factories import code_for

MALFORMED = [
    "",
    " ",
    "12345",
    "1234567",
    "12345a",
    "+12345",
    "-12345",
    "12_3456",
    "1.2345",
    "0x1234",
    "١٢٣٤٥٦",  # Arabic-Indic digits, which int() takes
    "\uff11\uff12\uff13\uff14\uff15\uff16",  # full-width digits, which \d takes
    "12345\uff16",
    "12345\u0661",
    "²²²²²²",
    "123456\x00",
    "123\n456",
    "9" * 10_000,
]


@pytest.mark.parametrize(
    "typed", ["123456", "123 456", "123-456", " 123456 ", "12-34-56", "123\u00a0456"]
)
def test_spaces_and_hyphens_are_dropped(typed):
    assert parse_code(typed) == "123456"


@pytest.mark.parametrize("typed", MALFORMED)
def test_everything_else_is_refused(typed):
    with pytest.raises(MalformedCode):
        parse_code(typed)


@pytest.mark.parametrize("typed", MALFORMED)
def test_form_says_what_to_do(typed):
    form = CodeForm({"code": typed})
    assert not form.is_valid()
    assert len(form.errors["code"]) == 1


def test_malformed_code_is_not_an_attempt(device, enter):
    for typed in MALFORMED:
        with pytest.raises(MalformedCode):
            enter(typed)
    assert Verification.objects.count() == 0
    assert enter(code_for(device)).ok
