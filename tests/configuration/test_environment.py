"""Reading settings: strictly, from files where they are secrets, and refused with one sentence."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from apono_portal.configuration.environment import Environment
from apono_portal.configuration.registry import SETTINGS

pytestmark = pytest.mark.anywhere


def test_what_is_not_set_has_its_default():
    environment = Environment({"SESSION_HOURS": " "})
    assert environment.integer("SESSION_HOURS") == 12
    assert environment.flag("MFA_ADMINS_MUST_ENROL")
    assert environment.items("ALLOWED_HOSTS") == []


def test_every_default_can_be_read():
    for setting in SETTINGS.values():
        if not setting.is_required:
            Environment({}).check(setting)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("SESSION_HOURS", "twelve", "SESSION_HOURS must be a whole number, such as 12."),
        ("SESSION_HOURS", "0", "SESSION_HOURS must be at least 1 and at most 10,000,000."),
        ("WORKER_INTERVAL_S", "nan", "WORKER_INTERVAL_S must be at least 0.05 and at most"),
        ("MFA_ADMINS_MUST_ENROL", "ture", "MFA_ADMINS_MUST_ENROL must be 1 or 0."),
        ("LOG_FORMAT", "xml", "LOG_FORMAT must be one of json, line."),
        ("SECRET_KEY", "", "Set SECRET_KEY: 50 or more random characters."),
    ],
)
def test_a_wrong_value_is_refused_with_a_sentence(name, value, sentence):
    with pytest.raises(ImproperlyConfigured) as refused:
        Environment({name: value}).check(SETTINGS[name])
    assert str(refused.value).startswith(sentence)


def test_a_secret_may_be_in_a_file(tmp_path):
    file = tmp_path / "secret_key"
    file.write_text("from-a-file\n")
    environment = Environment({"SECRET_KEY_FILE": str(file)})
    assert environment.text("SECRET_KEY") == "from-a-file"
    assert environment.source(SETTINGS["SECRET_KEY"]) == str(file)


def test_a_secret_is_either_a_value_or_a_file(tmp_path):
    with pytest.raises(ImproperlyConfigured, match="SECRET_KEY or SECRET_KEY_FILE, not both"):
        Environment({"SECRET_KEY_FILE": str(tmp_path), "SECRET_KEY": "x"}).text("SECRET_KEY")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    missing = str(tmp_path / "missing")
    with pytest.raises(
        ImproperlyConfigured, match=f"{missing}, which cannot be read: No such file"
    ):
        Environment({"DATABASE_URL_FILE": missing}).text("DATABASE_URL")


def test_every_secret_has_a_file_variant():
    files = {it.file_variable for it in SETTINGS.values() if it.is_secret}
    assert {"SECRET_KEY_FILE", "ENCRYPTION_KEYS_FILE", "DATABASE_URL_FILE"} <= files
    assert "PORTAL_NAME_FILE" not in files
