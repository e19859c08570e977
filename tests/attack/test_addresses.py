"""The pages that people use in the campaign are there: a page that moved would let attacks on it succeed at nothing."""

import re
from pathlib import Path

import pytest
from django.urls import resolve

from bench.attack import actions, client, judge

ADDRESS = re.compile(r'f?"(/[a-z-]+/(?:[^" ?(]*/)?)"')
ADDRESSES = sorted(
    {
        re.sub(r"\{[^}]*\}", "1", address)
        for module in (actions, client, judge)
        for address in ADDRESS.findall(Path(module.__file__).read_text())
    }
)


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_page_of_the_campaign_exists(address: str) -> None:
    resolve(address)


def test_addresses_are_read() -> None:
    assert "/requests/AR-1/revoke/" in ADDRESSES
