"""The pages of the campaign exist: attacks on one that moved would succeed at nothing."""

import re
from pathlib import Path

import pytest
from django.urls import resolve

import bench.attack
from bench.attack import actions, api_client, client
from bench.attack.attacks import foreign_ids

BASES = {
    "{SET_UP}": actions.SET_UP,
    "{SECURITY}": client.SECURITY,
    "{ADD_PASSKEY}": client.ADD_PASSKEY,
    "{STEP_UP}": client.STEP_UP,
    "{API}": api_client.API,
    "{APONO_API}": api_client.APONO_API,
}
PARTS = {api_client.API, api_client.APONO_API, api_client.SCIM, "/one/", "/two/", "/disconnect/"}
VALUES = {"{kind}": "code", "{query}": ""}
ADDRESS = re.compile(rf"""f?"((?:/[a-z-]+/|{"|".join(map(re.escape, BASES))})[^" ?\\]*)[?"]""")


def _read_addresses() -> set[str]:
    addresses = {f"/requests/AR-1/{verb}/" for verb in foreign_ids.VERBS}
    for module in Path(bench.attack.__file__).parent.rglob("*.py"):
        for address in ADDRESS.findall(module.read_text().replace('action="', "")):
            for name, value in (BASES | VALUES).items():
                address = address.replace(name, value)
            addresses.add(re.sub(r"\{(?!verb)[^}]*\}", "1", address))
    return {address for address in addresses - PARTS if "{verb}" not in address}


ADDRESSES = _read_addresses()


@pytest.mark.parametrize("address", sorted(ADDRESSES))
def test_a_page_of_the_campaign_exists(address: str) -> None:
    resolve(address)


def test_addresses_are_read_in_all_their_spellings() -> None:
    assert {
        "/requests/AR-1/revoke/",
        "/account/security/authenticator/confirm/",
        "/account/security/methods/code/1/remove/",
        "/account/step-up/",
    } <= ADDRESSES
