"""System checks of the settings of signed checkpoints."""

import pytest

from audit.signing_checks import check_public_keys, check_settings


def test_good_settings_pass(worker_key, settings):
    settings.AUDIT_CHECKPOINT_SYSLOG = "tls://logs.example.org"
    assert check_settings(None) == check_public_keys(None) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AUDIT_SIGNING_KEY", "x"),
        ("AUDIT_PUBLIC_KEYS", ["x"]),
        ("AUDIT_CHECKPOINT_SYSLOG", "logs.example.org"),
    ],
)
def test_a_wrong_setting_is_named(settings, name, value):
    setattr(settings, name, value)
    [error] = check_settings(None)
    assert error.msg.startswith(name)


def test_deployment_without_a_public_key_is_warned(settings):
    settings.AUDIT_PUBLIC_KEYS = []
    assert [message.id for message in check_public_keys(None)] == ["audit.W001"]
