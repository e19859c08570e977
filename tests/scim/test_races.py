"""Two changes of one group at once are both kept."""

import threading

import pytest
from django.contrib.auth.models import Group
from django.db import connection

from tests.scim.conftest import DirectoryClient

pytestmark = pytest.mark.django_db(transaction=True)


def test_members_added_at_once_are_all_members(okta: DirectoryClient):
    users = [okta.add_user(f"{name}@corp.example") for name in "abcd"]
    group = okta.add_group("Billing")
    statuses, start = [], threading.Barrier(len(users))

    def add(user):
        start.wait(5)
        operation = {"op": "add", "path": "members", "value": [{"value": user["id"]}]}
        statuses.append(okta.patch(f"/Groups/{group['id']}", operation).status_code)
        connection.close()

    threads = [threading.Thread(target=add, args=[user]) for user in users]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert set(statuses) <= {200, 204}
    assert Group.objects.get().user_set.count() == len(users)
