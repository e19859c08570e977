"""What counts as a code, before anything is counted."""

import re

import pytest

from mfa.exceptions import MalformedCode
from mfa.models import Verification
from mfa.verification.codes import (
    RECOVERY_CODES,
    new_recovery_code,
    normalise_code,
    normalise_recovery_code,
    recovery_code_hash,
)
from mfa.verification.forms import CodeForm
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
    assert normalise_code(typed) == "123456"


@pytest.mark.parametrize("typed", MALFORMED)
def test_everything_else_is_refused(typed):
    with pytest.raises(MalformedCode):
        normalise_code(typed)


@pytest.mark.parametrize("typed", MALFORMED)
def test_the_form_says_what_to_do(typed):
    form = CodeForm({"code": typed})
    assert not form.is_valid()
    assert len(form.errors["code"]) == 1


def test_what_cannot_be_a_code_is_not_a_try(device, enter):
    for typed in MALFORMED:
        with pytest.raises(MalformedCode):
            enter(typed)
    assert Verification.objects.count() == 0
    assert enter(code_for(device)).ok


def test_recovery_codes_are_read_as_people_type_them():
    code = new_recovery_code()
    typed = f" {code.upper().replace('-', ' ')} "
    assert normalise_recovery_code(typed) == code.replace("-", "")
    assert recovery_code_hash(1, typed) == recovery_code_hash(1, code)


def test_a_recovery_code_is_four_groups_of_five_and_there_are_ten():
    assert re.fullmatch(r"([a-z2-7]{5}-){3}[a-z2-7]{5}", new_recovery_code())
    assert RECOVERY_CODES == 10


def test_a_recovery_code_of_somebody_else_has_another_hash():
    code = new_recovery_code()
    assert recovery_code_hash(1, code) != recovery_code_hash(2, code)


@pytest.mark.parametrize("typed", ["", "abcde", "abcde-fghij-klmno-pqrs1", "é" * 20, "a" * 21])
def test_what_cannot_be_a_recovery_code_is_refused(typed):
    with pytest.raises(MalformedCode):
        normalise_recovery_code(typed)
