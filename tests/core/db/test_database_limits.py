"""The options that end every wait for the portal's database."""

from apono_portal.settings import database_limits


def test_client_waits_longer_than_the_server_works():
    limits = database_limits(20, by_server=True)
    assert "statement_timeout=20000" in limits["options"]
    assert limits["response_timeout_s"] > 20


def test_a_pooler_gets_no_startup_options():
    assert "options" not in database_limits(20, by_server=False)


def test_zero_leaves_statements_unlimited():
    assert not {"options", "response_timeout_s"} & database_limits(0, by_server=True).keys()
