"""Django admin changes only users and groups: every field and every action is posted, in every role."""

from typing import Any

import pytest
from django.contrib import admin
from django.urls import reverse

from apono_portal.users.models import User
from audit.models import Event
from tests.architecture.conftest import World
from tests.architecture.smuggling import changes, own_form, rolled_back, smuggled_fields, snapshot

REGISTERED = sorted(admin.site._registry.items(), key=lambda item: item[0]._meta.label)
# What admins with an open window may change, through the services of the Users tab.
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


def urls_of(model: Any, site: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return every URL of a model's admin with what is posted there besides every field."""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    rows = list(model._default_manager.values_list("pk", flat=True)[:1])
    changelist = reverse(f"{name}_changelist")
    actions = {"delete_selected", *(action.__name__ for action in site.actions or ())}
    extra = {"_save": "Save", "form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "1", "post": "yes"}
    urls: list[tuple[str, dict[str, Any]]] = [
        (changelist, {"action": action, "_selected_action": rows, **extra}) for action in actions
    ]
    urls += [(reverse(f"{name}_add"), {"_save": "Save"})]
    for pk in rows:
        urls += [
            (reverse(f"{name}_change", args=[pk]), {"_save": "Save"}),
            (reverse(f"{name}_delete", args=[pk]), {"post": "yes"}),
            (reverse(f"{name}_history", args=[pk]), {"post": "yes"}),
        ]
    return urls


def changed_in_admin(world: World, who: str) -> set[str]:
    """Post everything everywhere; return what changed. Each change must have left an event."""
    client, changed = world.clients[who], set()
    everything = smuggled_fields(world.people.get(who, world.people["bystander"]))

    def post(url: str, payload: dict[str, Any]) -> int:
        with rolled_back() as writes:
            before = Event.objects.count()
            response = client.post(url, payload)
            new = changes(world.rows, snapshot()) if writes else {}
            assert not new or Event.objects.count() > before, url
        changed.update(new)
        return response.status_code

    for model, site in REGISTERED:
        for url, extra in urls_of(model, site):
            # 302: saved, or refused because what was edited is missing
            status = post(url, everything | extra)
            if status not in {200, 302} or "_save" not in extra or "action" in extra:
                continue
            page = client.get(url).content.decode()
            if own := own_form(page, url, everything):
                post(url, own | extra)
    return changed


def test_an_admin_changes_users_and_groups_and_nothing_else(world):
    changed = changed_in_admin(world, "admin")
    assert changed <= MAY_CHANGE
    assert {"User.name", "Group.name", "Group +"} <= changed  # the forms do work


@pytest.mark.parametrize("who", ["stranger", "bystander", "auditor", "closed"])
def test_nobody_else_changes_anything_in_admin(world, who):
    assert changed_in_admin(world, who) == set()


def test_the_last_admin_cannot_lose_the_role_in_admin(world):
    User.objects.filter(pk=world.people["closed"].pk).update(is_active=False)
    ada = world.people["admin"]
    url = reverse("admin:users_user_change", args=[ada.pk])
    world.clients["admin"].post(url, {"name": "Ada", "role": "member"})
    ada.refresh_from_db()
    assert ada.role == "admin"
