"""Mails and posts lead to pages that are there, and a worker that writes them loads none."""

import subprocess
import sys

import pytest
from django.conf import settings
from django.urls import reverse

from apono_portal.told_pages import PATHS, page

WRITES_A_NOTICE = """
import sys, django
django.setup()
import apono_portal.management.commands.worker
from apono_portal.notifications.fan_out import _body
from apono_portal.notifications.messages import Words
from apono_portal.told_pages import page
assert "/requests/AR-7/" in _body(Words("Access ends soon", ["In a while."], page("requests:detail", 7)))
print("apono_portal.urls" in sys.modules, "PIL" in sys.modules)
"""


@pytest.mark.parametrize("name", sorted(PATHS))
def test_an_address_that_is_told_is_the_page_of_that_name(name):
    args = list(range(PATHS[name].count("{}")))
    assert page(name, *args) == f"{settings.PORTAL_URL}{reverse(name, args=args)}"


def test_a_worker_that_writes_a_notice_loads_no_page():
    said = subprocess.run(
        [sys.executable, "-c", WRITES_A_NOTICE], capture_output=True, text=True, check=True
    )
    assert said.stdout.split() == ["False", "False"]
