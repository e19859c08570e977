"""Exported flows read back as the same flows, and every term is in the format."""

import json
from dataclasses import fields
from pathlib import Path

import jsonschema
import pytest
import yaml

from accessflows.exceptions import Refused
from accessflows.flows.files.document import FlowEntry, schema
from accessflows.flows.terms import FlowInput
from accessflows.models import AccessFlow
from tests.accessflows.flows.files.conftest import apply, exported, plan_of
from tests.factories import AccessFlowFactory, GroupFactory

SCHEMA = Path(__file__).parents[4] / "docs" / "flows.schema.json"
GROUPED = {"available_days", "available_from", "available_until", "available_zone"}


def test_export_plans_no_change_of_terms(rich_flows):
    plan = plan_of(exported())
    assert [change.actions for change in plan.changes] == [["manage"], ["manage"]]
    assert [change.weakened for change in plan.changes] == [[], []]


def test_flows_are_the_same_after_export_deletion_and_apply(rich_flows):
    document = exported()
    fingerprints = dict(AccessFlow.objects.values_list("name", "fingerprint"))
    terms = {flow.name: FlowInput.of(flow) for flow in rich_flows}
    AccessFlow.objects.all().delete()
    apply(document)
    assert exported() == document
    assert dict(AccessFlow.objects.values_list("name", "fingerprint")) == fingerprints
    saved = FlowInput.of(AccessFlow.objects.get(name="true"))
    assert vars(saved) | {"requesters": ()} == vars(terms["true"]) | {
        "requesters": (),
        "available_days": (0, 4),
    }
    assert not AccessFlow.objects.get(name="true").is_active


def test_a_file_applied_twice_changes_nothing(rich_flows):
    document = exported()
    apply(document)
    before = list(AccessFlow.objects.values("name", "version", "changed_at"))
    assert not plan_of(document).changes
    apply(document)
    assert list(AccessFlow.objects.values("name", "version", "changed_at")) == before


def test_exports_fit_the_schema(rich_flows):
    jsonschema.validate(yaml.safe_load(exported()), schema())


def test_the_schema_in_the_documents_is_current():
    assert json.loads(SCHEMA.read_text()) == schema()


def test_every_term_is_in_the_format():
    keys = {*FlowEntry.model_fields, *GROUPED} - {"active", "availability"}
    assert keys == {field.name for field in fields(FlowInput)}


def test_a_condition_on_a_deleted_group_is_not_exported(hook):
    group = GroupFactory()
    AccessFlowFactory(name="Lost", requester_groups=[group])
    group.delete()
    with pytest.raises(Refused, match="Lost has a condition that names a deleted"):
        exported()
