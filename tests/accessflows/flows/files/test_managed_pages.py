"""Pages of a flow that a file manages: marked, and read-only but for Deactivate."""

import pytest

from accessflows.models import AccessFlow
from tests.factories import AccessFlowFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def flow():
    return AccessFlowFactory(name="Deploy", managed_by_file="flows.yaml", managed_commit="4f2a")


def test_the_list_offers_history_and_deactivate_only(admin_client, flow):
    page = admin_client.get("/access-flows/").content.decode()
    assert "Managed by file" in page
    assert f"/access-flows/{flow.pk}/deactivate/" in page
    for address in ("edit", "delete", "activate"):
        assert f"/access-flows/{flow.pk}/{address}/" not in page


def test_edit_leads_to_the_history_which_names_the_file(admin_client, flow):
    answer = admin_client.get(f"/access-flows/{flow.pk}/edit/", follow=True)
    page = answer.content.decode()
    assert answer.redirect_chain == [(f"/access-flows/{flow.pk}/history/", 302)]
    assert "Managed by file: flows.yaml, commit" in page
    assert f"/access-flows/{flow.pk}/edit/" not in page


@pytest.mark.parametrize("address", ["activate", "delete"])
def test_posting_changes_nothing(admin_client, flow, address):
    AccessFlow.objects.filter(pk=flow.pk).update(is_active=False)
    admin_client.post(f"/access-flows/{flow.pk}/{address}/", {"reason": "Not needed."})
    assert not AccessFlow.objects.get(pk=flow.pk).is_active


def test_it_can_be_deactivated(admin_client, flow):
    admin_client.post(f"/access-flows/{flow.pk}/deactivate/")
    assert not AccessFlow.objects.get(pk=flow.pk).is_active
