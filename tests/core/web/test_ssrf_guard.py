"""Which addresses webhooks may be sent to."""

from ipaddress import ip_network

import pytest

from apono_portal.core.web.ssrf_guard import AddressRefused, check_url, permitted_addresses


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/",
        "http://localhost.example.org/",
        "http://hooks.example.org/x",
        "ftp://127.0.0.1/",
        "ftp://hooks.example.org/",
        "https://",
        "https://user:pass@example.org/",
        "https://example.org/#x",
        "https://example.org:0/",
        "https://example.org:99999/",
        "https://exa mple.org/",
        "https://example.org/\r\nx: y",
        "http://[::1",
        "",
    ],
)
def test_unsafe_url_is_refused(url, settings):
    settings.WEBHOOK_NETWORKS = [ip_network("127.0.0.0/8"), ip_network("::1/128")]
    with pytest.raises(AddressRefused):
        check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://169.254.169.254/latest/meta-data/",
        "https://[fe80::1]/",
        "https://[::ffff:169.254.169.254]/",
        "https://[64:ff9b::a9fe:a9fe]/",
        "https://10.0.0.7/",
        "https://127.0.0.1/",
        "http://127.0.0.1/",
        "https://[fd00:ec2::254]/",
        "https://0.0.0.0/",
        "https://[fec0::1]/",
        "https://[::10.0.0.7]/",
        "https://[::ffff:0:10.0.0.7]/",
    ],
)
def test_address_inside_is_refused(url):
    with pytest.raises(AddressRefused):
        check_url(url)


def test_listed_network_is_permitted_and_metadata_never(settings):
    settings.WEBHOOK_NETWORKS = [ip_network("10.0.0.0/8"), ip_network("0.0.0.0/0")]
    assert check_url("https://10.0.0.7/").hostname == "10.0.0.7"
    with pytest.raises(AddressRefused):
        check_url("https://169.254.169.254/")


def test_public_address_is_permitted():
    assert check_url("https://192.88.99.1/x").path == "/x"
    assert check_url("https://[2600::1]:8443/").port == 8443


def test_name_of_an_address_inside_is_refused_at_look_up():
    with pytest.raises(AddressRefused):
        permitted_addresses("localhost", 443)


@pytest.mark.parametrize("host", ["no-such-host.invalid", ".x", "a" * 70 + ".example.org"])
def test_unknown_name_has_no_addresses(host):
    assert permitted_addresses(host, 443) == []
