"""System checks: settings and rows that would let someone bypass MFA."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import WARNING, CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from apono_portal.core.crypto import encryption
from apono_portal.core.crypto.keyring import parse_keyring

PER_PROCESS_CACHES = ("locmem.LocMemCache", "dummy.DummyCache")
MAX_WINDOW = timedelta(hours=1)
AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
LOGIN_REQUIRED = "apono_portal.users.middleware.SignInRequiredMiddleware"
WINDOW = "mfa.middleware.VerifiedWindowMiddleware"
CSRF = "django.middleware.csrf.CsrfViewMiddleware"
BACKEND = "apono_portal.users.backends.EmailBackend"  # counts and limits incorrect passwords
PASSWORD_REFUSALS = "apono_portal.users.middleware.PasswordRefusalMiddleware"
EXTRA_DEVICES = {"django_otp.plugins.otp_static", "django_otp.plugins.otp_email"}

Finding = tuple[int, str, str]


def check_settings(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Return an error with a hint for every setting that is unsafe for MFA."""
    findings = [*_sessions(), *_codes(), *_window(), *_enforcement(), *_sign_in(), *_database()]
    return [Error(message, hint=hint, id=f"mfa.E{number:03}") for number, message, hint in findings]


def check_rows(
    app_configs: Sequence[AppConfig] | None,
    databases: Sequence[str] | None = None,
    **kwargs: Any,
) -> list[CheckMessage]:
    """Find TOTP keys in plain text, and passkeys of another host. Runs with ``manage.py check --database default``."""
    from mfa.models import Authenticator

    errors: list[CheckMessage] = []
    for alias in databases or []:
        if Authenticator._meta.db_table not in connections[alias].introspection.table_names():
            continue
        rows = Authenticator.objects.using(alias).exclude(key__startswith=f"{encryption.VERSION}.")
        if count := rows.count():
            message = f"Unencrypted TOTP keys in database {alias!r}: {count}."
            hint = "Delete these rows; their owners set up MFA again."
            errors.append(Error(message, hint=hint, id="mfa.E020"))
        errors += _lost_passkeys(alias)
    return errors


def _lost_passkeys(alias: str) -> Iterator[CheckMessage]:
    """Warn of passkeys that browsers do not offer at the portal's host name."""
    from mfa.models import Passkey

    host = (urlsplit(settings.PORTAL_URL).hostname or "").lower()
    if Passkey._meta.db_table not in connections[alias].introspection.table_names():
        return
    if count := Passkey.objects.using(alias).exclude(rp_id=host).count():
        message = f"Passkeys in database {alias!r} of a host name other than {host}: {count}."
        hint = "Restore the former PORTAL_URL, or have the owners add new passkeys."
        yield CheckMessage(WARNING, message, hint=hint, id="mfa.W023")


def _sessions() -> Iterator[Finding]:
    engine, hint = settings.SESSION_ENGINE, "Set SESSION_ENGINE to 'apono_portal.users.sessions'."
    if engine.endswith("signed_cookies"):
        yield 1, "Sessions are stored in cookies: a copied cookie reopens a closed window.", hint
    if engine.endswith((".cache", ".cached_db")):
        backend = settings.CACHES[settings.SESSION_CACHE_ALIAS]["BACKEND"]
        if backend.endswith(PER_PROCESS_CACHES):
            yield 2, "Sessions are cached per process: other processes don't see them end.", hint


def _codes() -> Iterator[Finding]:
    if getattr(settings, "OTP_TOTP_SYNC", True):
        yield 3, "OTP_TOTP_SYNC lets the accepted codes drift without bound.", "Set it to False."
    if getattr(settings, "OTP_TOTP_THROTTLE_FACTOR", 1) != 0:
        yield (
            4,
            "django-otp's own throttle lets a stranger lock the owner out.",
            "Set OTP_TOTP_THROTTLE_FACTOR to 0; the verification ledger limits wrong codes.",
        )
    if getattr(settings, "OTP_TOTP_IMAGE", None):
        yield 5, "OTP_TOTP_IMAGE makes apps load an image from another server.", "Remove it."
    issuer = settings.OTP_TOTP_ISSUER or ""
    if not issuer.strip() or not set(":/").isdisjoint(issuer):
        yield 6, "MFA_ISSUER is empty or contains ':' or '/'.", "Use letters, digits and spaces."
    for app in sorted(EXTRA_DEVICES.intersection(settings.INSTALLED_APPS)):
        yield 7, f"{app} stores codes in plain text.", "Remove it."
    try:
        parse_keyring(settings.ENCRYPTION_KEYS)
    except ImproperlyConfigured as error:
        yield 8, str(error), "`manage.py make_encryption_key` prints a key."


def _window() -> Iterator[Finding]:
    if not timedelta(0) < settings.MFA_WINDOW <= MAX_WINDOW:
        yield 9, "MFA_WINDOW must be above zero and at most an hour.", "Set one hour."
    if not timedelta(0) < settings.MFA_RECENT_SIGN_IN <= MAX_WINDOW:
        yield 10, "MFA_RECENT_SIGN_IN must be at most an hour.", "Set 15 minutes."
    if not timedelta(0) < settings.MFA_SET_UP_LIFETIME <= MAX_WINDOW:
        yield 21, "MFA_SET_UP_LIFETIME must be at most an hour.", "Set 30 minutes."


def _enforcement() -> Iterator[Finding]:
    chain = list(settings.MIDDLEWARE)
    if WINDOW not in chain or LOGIN_REQUIRED not in chain:
        yield 11, "The middleware that requires sign-in and MFA is missing.", f"Add {WINDOW}."
    elif AUTHENTICATION not in chain[: chain.index(WINDOW)]:
        yield 12, "The window is checked before the user is known.", f"Move {WINDOW} down."
    if CSRF not in chain:
        yield 18, "Forms sent by other sites are accepted.", f"Add {CSRF}."
    if not settings.SESSION_COOKIE_HTTPONLY or settings.SESSION_COOKIE_SECURE is not settings.HTTPS:
        yield (
            22,
            "Scripts can read the session cookie, or it is sent without TLS.",
            "Do not change SESSION_COOKIE_HTTPONLY and SESSION_COOKIE_SECURE.",
        )


def _sign_in() -> Iterator[Finding]:
    if list(settings.AUTHENTICATION_BACKENDS) != [BACKEND]:
        yield 13, "Passwords can be guessed without limit.", f"Use {BACKEND} alone."
    if PASSWORD_REFUSALS not in settings.MIDDLEWARE:
        yield 14, "Refused passwords are answered with an error.", f"Add {PASSWORD_REFUSALS}."


def _database() -> Iterator[Finding]:
    for alias, database in settings.DATABASES.items():
        if database.get("ATOMIC_REQUESTS"):
            yield (
                16,
                f"ATOMIC_REQUESTS of {alias!r} rolls back the failure counts.",
                "Set it to False.",
            )
        sqlite = database.get("ENGINE") == "django.db.backends.sqlite3"
        mode = str(database.get("OPTIONS", {}).get("transaction_mode", "")).upper()
        if sqlite and mode not in {"IMMEDIATE", "EXCLUSIVE"}:
            yield (
                17,
                f"SQLite database {alias!r} locks too late: one code could be accepted twice.",
                "Set OPTIONS['transaction_mode'] to 'IMMEDIATE'.",
            )
