"""System checks: each unsafe setting is an error that says what to do; the real settings have none."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django import conf
from django.core.management import call_command
from django.core.management.base import CommandError, SystemCheckError

from mfa.checks import check_rows, check_settings
from mfa.models import Authenticator
from tests.factories import PasskeyFactory

ROOT = Path(__file__).resolve().parents[2]
ENFORCER = "mfa.middleware.VerifiedWindowMiddleware"


def ids() -> set[str]:
    return {problem.id for problem in check_settings(None)}


def test_portals_own_settings_are_safe():
    assert ids() == set()


UNSAFE = [
    ("mfa.E001", "SESSION_ENGINE", "django.contrib.sessions.backends.signed_cookies"),
    ("mfa.E002", "SESSION_ENGINE", "django.contrib.sessions.backends.cache"),
    ("mfa.E003", "OTP_TOTP_SYNC", True),
    ("mfa.E004", "OTP_TOTP_THROTTLE_FACTOR", 1),
    ("mfa.E005", "OTP_TOTP_IMAGE", "https://example.org/logo.png"),
    ("mfa.E006", "OTP_TOTP_ISSUER", "A:B"),
    ("mfa.E006", "OTP_TOTP_ISSUER", " "),
    ("mfa.E008", "ENCRYPTION_KEYS", "k1:tooshort"),
    ("mfa.E009", "MFA_WINDOW", timedelta(0)),
    ("mfa.E009", "MFA_WINDOW", timedelta(hours=1, seconds=1)),
    ("mfa.E010", "MFA_RECENT_SIGN_IN", timedelta(days=1)),
    ("mfa.E010", "MFA_RECENT_SIGN_IN", timedelta(0)),
    ("mfa.E010", "MFA_RECENT_SIGN_IN", timedelta(hours=1, microseconds=1)),
    ("mfa.E021", "MFA_SET_UP_LIFETIME", timedelta(0)),
    ("mfa.E021", "MFA_SET_UP_LIFETIME", timedelta(hours=1, microseconds=1)),
    ("mfa.E011", "MIDDLEWARE", []),
    ("mfa.E022", "SESSION_COOKIE_HTTPONLY", False),
    ("mfa.E022", "SESSION_COOKIE_SECURE", True),
    ("mfa.E002", "SESSION_ENGINE", "django.contrib.sessions.backends.cached_db"),
    ("mfa.E006", "OTP_TOTP_ISSUER", None),
    ("mfa.E013", "AUTHENTICATION_BACKENDS", ["django.contrib.auth.backends.ModelBackend"]),
    ("mfa.E013", "AUTHENTICATION_BACKENDS", []),
    ("mfa.E014", "MIDDLEWARE", []),
]


@pytest.mark.parametrize(("problem", "name", "value"), UNSAFE)
def test_unsafe_setting_is_an_error(settings, problem, name, value):
    setattr(settings, name, value)
    assert problem in ids()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MFA_WINDOW", timedelta(hours=1)),
        ("MFA_WINDOW", timedelta(microseconds=1)),
        ("MFA_RECENT_SIGN_IN", timedelta(hours=1)),
        ("MFA_RECENT_SIGN_IN", timedelta(microseconds=1)),
        ("MFA_SET_UP_LIFETIME", timedelta(hours=1)),
        ("MFA_SET_UP_LIFETIME", timedelta(microseconds=1)),
    ],
)
def test_what_is_just_within_bounds_is_safe(settings, name, value):
    setattr(settings, name, value)
    assert ids() == set()


@pytest.mark.parametrize(
    ("problem", "name"), [("mfa.E003", "OTP_TOTP_SYNC"), ("mfa.E004", "OTP_TOTP_THROTTLE_FACTOR")]
)
def test_what_is_left_to_a_library_is_an_error(settings, problem, name):
    delattr(settings, name)
    assert problem in ids()


@pytest.mark.parametrize(
    ("problem", "missing"),
    [
        ("mfa.E011", ENFORCER),
        ("mfa.E011", "apono_portal.users.middleware.SignInRequiredMiddleware"),
        ("mfa.E018", "django.middleware.csrf.CsrfViewMiddleware"),
    ],
)
def test_each_missing_guard_is_an_error(settings, problem, missing):
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name != missing]
    assert ids() == {problem}


def test_postgresql_needs_no_lock_at_the_beginning(settings, monkeypatch):
    change = {"ENGINE": "django.db.backends.postgresql", "OPTIONS": {}}
    for name, value in change.items():
        monkeypatch.setitem(settings.DATABASES["default"], name, value)
    assert ids() == set()


def test_second_kind_of_device_is_an_error(monkeypatch):
    # Not through the settings fixture: that would load the app, and its admin would stay registered.
    apps = [*conf.settings.INSTALLED_APPS, "django_otp.plugins.otp_static"]
    monkeypatch.setattr(conf.settings, "INSTALLED_APPS", apps)
    assert "mfa.E007" in ids()


def test_window_middleware_before_authentication_is_an_error(settings):
    settings.MIDDLEWARE = [ENFORCER, *(name for name in settings.MIDDLEWARE if name != ENFORCER)]
    assert ids() == {"mfa.E012"}


@pytest.mark.parametrize(
    ("problem", "change"),
    [
        ("mfa.E016", {"ATOMIC_REQUESTS": True}),
        ("mfa.E017", {"ENGINE": "django.db.backends.sqlite3", "OPTIONS": {}}),
    ],
)
def test_unsafe_database_is_an_error(settings, monkeypatch, problem, change):
    for name, value in change.items():
        monkeypatch.setitem(settings.DATABASES["default"], name, value)
    assert problem in ids()


def test_every_error_says_what_to_do(settings):
    settings.OTP_TOTP_SYNC = True
    for problem in check_settings(None):
        assert problem.is_serious()
        assert problem.msg.endswith(".")
        assert problem.hint.endswith(".")


def test_no_command_starts_with_an_unsafe_setting(settings):
    settings.OTP_TOTP_SYNC = True
    with pytest.raises(SystemCheckError, match=r"mfa\.E003"):
        call_command("check")


def test_unencrypted_key_is_found(device):
    assert check_rows(None, databases=["default"]) == []
    Authenticator.objects.update(key="6a" * 20)
    findings = check_rows(None, databases=["default"])
    assert [finding.id for finding in findings] == ["mfa.E020"]


def test_passkeys_of_another_host_are_warned_of(person, settings):
    PasskeyFactory(user=person)
    assert check_rows(None, databases=["default"]) == []
    settings.PORTAL_URL = "https://access.example.org"
    assert [problem.id for problem in check_rows(None, databases=["default"])] == ["mfa.W023"]


def test_rows_are_left_alone_when_no_database_is_named(device):
    Authenticator.objects.update(key="6a" * 20)
    assert check_rows(None) == []


def run_manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    plain = {"PATH": os.environ["PATH"]} | environment
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=plain, capture_output=True, text=True, check=False)


def test_first_encryption_key_is_made_before_anything_is_set():
    made = run_manage("make_encryption_key")
    assert made.returncode == 0, made.stderr
    from apono_portal.core.crypto.keyring import parse_keyring

    assert list(parse_keyring(made.stdout.strip())) == ["k1"]


def test_next_encryption_key_gets_the_next_id(settings, capsys):
    call_command("make_encryption_key", id="k1")
    settings.ENCRYPTION_KEYS = capsys.readouterr().out.strip()
    call_command("make_encryption_key")
    assert capsys.readouterr().out.startswith("k2:")


def test_without_any_the_first_is_k1(settings, capsys):
    settings.ENCRYPTION_KEYS = ""
    call_command("make_encryption_key")
    assert capsys.readouterr().out.startswith("k1:")


@pytest.mark.parametrize("name", ["a", "8letters"])
def test_key_name_has_one_to_eight_letters(capsys, name):
    call_command("make_encryption_key", id=name)
    assert capsys.readouterr().out.startswith(f"{name}:")


@pytest.mark.parametrize("name", ["t1", "ninechars", "a-b", "é"])
def test_unusable_key_name_is_refused(capsys, name):
    with pytest.raises(CommandError):
        call_command("make_encryption_key", id=name)
    assert capsys.readouterr().out == ""
