"""Nothing in Django admin can break a promise: every field and every action is tried, as everybody."""

from typing import Any

import pytest
from django.contrib import admin
from django.urls import reverse

from apono_portal.users.models import User
from audit.models import Event
from tests.architecture.conftest import World
from tests.architecture.smuggling import changes, form_of, smuggled, snapshot, undone

REGISTERED = sorted(admin.site._registry.items(), key=lambda item: item[0]._meta.label)
# What account admins with an open window may change there, through the services of the Users tab.
MAY_CHANGE = {
    "User.name",
    "User.role",
    "User.search_words",
    "User_groups +",
    "User_groups -",
    "MfaState +",
    "MfaState.epoch",
    "Group +",
    "Group.name",
}


def addresses(model: Any, site: Any) -> list[tuple[str, dict[str, Any]]]:
    """Every address of a model's admin with what is to be posted there beside everything else."""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    rows = list(model._default_manager.values_list("pk", flat=True)[:1])
    listed = reverse(f"{name}_changelist")
    actions = {"delete_selected", *(each.__name__ for each in site.actions or ())}
    beside = {"_save": "Save", "form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "1", "post": "yes"}
    found: list[tuple[str, dict[str, Any]]] = [
        (listed, {"action": action, "_selected_action": rows, **beside}) for action in actions
    ]
    found += [(reverse(f"{name}_add"), {"_save": "Save"})]
    for pk in rows:
        found += [
            (reverse(f"{name}_change", args=[pk]), {"_save": "Save"}),
            (reverse(f"{name}_delete", args=[pk]), {"post": "yes"}),
            (reverse(f"{name}_history", args=[pk]), {"post": "yes"}),
        ]
    return found


def changed_there(world: World, who: str) -> set[str]:
    """Post everything everywhere. Returns what changed; each change must have left its event."""
    client, found = world.clients[who], set()
    everything = smuggled(world.people.get(who, world.people["bystander"]))

    def post(address: str, payload: dict[str, Any]) -> int:
        with undone() as written:
            before = Event.objects.count()
            answer = client.post(address, payload)
            came = changes(world.rows, snapshot()) if written else {}
            assert not came or Event.objects.count() > before, address
        found.update(came)
        return answer.status_code

    for model, site in REGISTERED:
        for address, also in addresses(model, site):
            if post(address, everything | also) != 200 or "_save" not in also or "action" in also:
                continue
            page = client.get(address).content.decode()
            if own := form_of(page, address, everything):
                post(address, own | also)
    return found


def test_an_admin_changes_people_and_groups_and_nothing_else(world):
    found = changed_there(world, "admin")
    assert found <= MAY_CHANGE
    assert {"User.name", "Group.name", "Group +"} <= found  # it was really tried


@pytest.mark.parametrize("who", ["stranger", "bystander", "auditor", "closed"])
def test_nobody_else_changes_anything_there(world, who):
    assert changed_there(world, who) == set()


def test_an_admin_cannot_make_a_stranger_of_the_last_admin_there(world):
    User.objects.filter(pk=world.people["closed"].pk).update(is_active=False)
    ada = world.people["admin"]
    address = reverse("admin:users_user_change", args=[ada.pk])
    world.clients["admin"].post(address, {"name": "Ada", "role": "member"})
    ada.refresh_from_db()
    assert ada.role == "admin"
