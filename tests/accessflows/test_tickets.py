"""What a flow's tickets look like, in a language that cannot be made to run long."""

import time

import pytest

from accessflows.exceptions import InvalidInput
from accessflows.flows.fingerprint import fingerprint_of, terms_of
from accessflows.flows.terms import FlowInput
from accessflows.flows.validation import check_terms
from accessflows.models import AccessFlow
from accessflows.tickets import (
    MAX_PATTERN_LENGTH,
    matches_pattern,
    parse_ticket_references,
    pattern_error,
    pattern_example,
)
from tests.factories import AccessFlowFactory, UserFactory


@pytest.mark.parametrize(
    ("reference", "patterns"),
    [
        ("OPS-1", "OPS-#"),
        ("ops-4821", "OPS-#"),
        ("INC0012345", "INC#######"),
        ("SEC-9", "OPS-# SEC-#"),
        ("AB-7", "@-#"),
        ("aabb1", "aabb#"),
        ("anything/at:all", ""),
        ("v1.2", "v#.#"),
    ],
)
def test_a_reference_that_fits(reference, patterns):
    assert matches_pattern(reference, patterns)


@pytest.mark.parametrize(
    ("reference", "patterns"),
    [
        ("OPS-", "OPS-#"),
        ("OPS-1x", "OPS-#"),
        ("XOPS-1", "OPS-#"),
        ("OPS-\u0661", "OPS-#"),
        ("INC123456", "INC#######"),
        ("\u212aEY-1", "KEY-#"),
        ("7-7", "@-#"),
        ("ab1", "aabb#"),
        ("", "OPS-#"),
    ],
)
def test_a_reference_that_does_not_fit(reference, patterns):
    assert not matches_pattern(reference, patterns)


@pytest.mark.parametrize(
    "text", ["#1", "@A", "X-@b-#", "(a+)+", "OPS-\\d", "#  #", "Ω-#", "#" * 101]
)
def test_a_pattern_that_is_ambiguous_is_refused(text):
    assert pattern_error(text)


@pytest.mark.parametrize("text", ["", "OPS-#", "OPS-# INC#######", "@-#", "#@#", "a.b/c_d:#"])
def test_a_pattern_that_is_unambiguous_is_accepted(text):
    assert pattern_error(text) == ""


@pytest.mark.parametrize("patterns", ["OPS-#", "INC#######", "@@@@@-#", "v#.#"])
def test_the_example_fits(patterns):
    assert matches_pattern(pattern_example(patterns), patterns)


def test_no_reference_makes_the_matcher_slow():
    patterns = ("@#" * 50)[:MAX_PATTERN_LENGTH]
    started = time.process_time()
    for reference in ("a1" * 30, "a" * 60, "1" * 60, "a1" * 29 + "!"):
        matches_pattern(reference, patterns)
    assert time.process_time() - started < 0.05


def test_references_are_separated_by_commas_and_spaces():
    assert parse_ticket_references(" OPS-1, SEC-2  OPS-1 ") == ["OPS-1", "SEC-2"]


@pytest.mark.parametrize("text", ["a\x00", "x" * 61, "a b c d e f", "Ω-1", "tab\u200b"])
def test_an_invalid_reference_is_refused(text):
    with pytest.raises(ValueError, match=r"tickets?"):
        parse_ticket_references(text)


@pytest.mark.django_db
@pytest.mark.parametrize("change", [{"ticket_pattern": "OPS-#"}, {"require_ticket": True}])
def test_a_ticket_rule_is_part_of_the_fingerprint(change):
    flow = AccessFlowFactory(targets=1)
    before = fingerprint_of(terms_of(flow))
    AccessFlow.objects.update(**change)
    flow.refresh_from_db()
    assert fingerprint_of(terms_of(flow)) != before


@pytest.mark.django_db
def test_a_flow_without_ticket_rules_keeps_the_fingerprint_it_had_before_there_were_any():
    terms = terms_of(AccessFlowFactory(targets=1))
    older = {term: value for term, value in terms.items() if "ticket" not in term}
    assert fingerprint_of(terms) == fingerprint_of(older)


@pytest.mark.django_db
def test_a_bad_pattern_is_refused_by_the_service():
    flow = AccessFlowFactory(requester_users=[UserFactory()], targets=1)
    terms = FlowInput(**{**vars(FlowInput.of(flow)), "ticket_pattern": "#1"})
    with pytest.raises(InvalidInput) as refused:
        check_terms(terms, flow=flow)
    assert "ticket_pattern" in refused.value.errors
