"""System checks: settings and rows that would let somebody walk around MFA."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.utils.module_loading import import_string

from apono_portal.core.crypto import encryption
from apono_portal.core.crypto.keyring import parse_keyring

PER_PROCESS_CACHES = ("locmem.LocMemCache", "dummy.DummyCache")
LONGEST_WINDOW = timedelta(hours=1)
AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
LOGIN_REQUIRED = "django.contrib.auth.middleware.LoginRequiredMiddleware"
WINDOW = "mfa.middleware.VerifiedWindowMiddleware"
CSRF = "django.middleware.csrf.CsrfViewMiddleware"
MOST_PASSWORDS, COOL_OFF = 10, timedelta(minutes=15)
AXES_BACKENDS = {"axes.backends.AxesBackend", "axes.backends.AxesStandaloneBackend"}
EXTRA_DEVICES = {"django_otp.plugins.otp_static", "django_otp.plugins.otp_email"}


def check_settings(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Every combination of settings that is unsafe for MFA, as an error with what to do."""
    found = [*_sessions(), *_codes(), *_window(), *_enforcement(), *_sign_in(), *_database()]
    return [Error(message, hint=hint, id=f"mfa.E{number:03}") for number, message, hint in found]


def check_rows(
    app_configs: Sequence[AppConfig] | None,
    databases: Sequence[str] | None = None,
    **kwargs: Any,
) -> list[CheckMessage]:
    """TOTP keys that are not sealed. Run with ``manage.py check --database default``."""
    from mfa.models import Authenticator

    unsealed: list[CheckMessage] = []
    for alias in databases or []:
        if Authenticator._meta.db_table not in connections[alias].introspection.table_names():
            continue
        rows = Authenticator.objects.using(alias).exclude(key__startswith=f"{encryption.VERSION}.")
        if count := rows.count():
            message = f"{count} TOTP keys in database {alias!r} are not sealed."
            hint = "Delete these rows; their owners set up MFA again."
            unsealed.append(Error(message, hint=hint, id="mfa.E020"))
    return unsealed


Finding = tuple[int, str, str]


def _sessions() -> Iterator[Finding]:
    engine = settings.SESSION_ENGINE
    if engine.endswith("signed_cookies"):
        yield (
            1,
            "Sessions live in cookies: a copied cookie would bring back a closed window.",
            "Set SESSION_ENGINE to 'apono_portal.users.sessions'.",
        )
    if engine.endswith((".cache", ".cached_db")):
        backend = settings.CACHES[settings.SESSION_CACHE_ALIAS]["BACKEND"]
        if backend.endswith(PER_PROCESS_CACHES):
            yield (
                2,
                "Sessions live in a cache of one process: the others do not see their end.",
                "Set SESSION_ENGINE to 'apono_portal.users.sessions'.",
            )


def _codes() -> Iterator[Finding]:
    if getattr(settings, "OTP_TOTP_SYNC", True):
        yield 3, "OTP_TOTP_SYNC lets accepted codes wander off step by step.", "Set it to False."
    if getattr(settings, "OTP_TOTP_THROTTLE_FACTOR", 1) != 0:
        yield (
            4,
            "django-otp's own throttle would let a stranger lock the owner out.",
            "Set OTP_TOTP_THROTTLE_FACTOR to 0; scopes hold wrong codes off.",
        )
    if getattr(settings, "OTP_TOTP_IMAGE", None):
        yield 5, "OTP_TOTP_IMAGE has apps fetch a picture from elsewhere.", "Remove it."
    issuer = settings.OTP_TOTP_ISSUER
    if not isinstance(issuer, str) or not issuer.strip() or not set(":/").isdisjoint(issuer):
        yield 6, "MFA_ISSUER is empty or has ':' or '/' in it.", "Use letters, digits and spaces."
    for app in sorted(EXTRA_DEVICES.intersection(settings.INSTALLED_APPS)):
        yield 7, f"{app} keeps codes in plain text beside the sealed ones.", "Remove it."
    try:
        parse_keyring(settings.ENCRYPTION_KEYS)
    except ImproperlyConfigured as problem:
        yield 8, str(problem), "`manage.py make_encryption_key` prints a key."


def _window() -> Iterator[Finding]:
    if not timedelta(0) < settings.MFA_WINDOW <= LONGEST_WINDOW:
        yield 9, "MFA_WINDOW must be more than nothing and at most an hour.", "Set one hour."
    if not timedelta(0) < settings.MFA_RECENT_SIGN_IN <= LONGEST_WINDOW:
        yield 10, "MFA_RECENT_SIGN_IN must be at most an hour.", "Set 15 minutes."
    if not timedelta(0) < settings.MFA_SET_UP_LIFETIME <= LONGEST_WINDOW:
        yield 21, "MFA_SET_UP_LIFETIME must be at most an hour.", "Set 30 minutes."


def _enforcement() -> Iterator[Finding]:
    chain = list(settings.MIDDLEWARE)
    if WINDOW not in chain or LOGIN_REQUIRED not in chain:
        yield 11, "The middleware that demands sign-in and the window is missing.", f"Add {WINDOW}."
    elif AUTHENTICATION not in chain[: chain.index(WINDOW)]:
        yield 12, "The window is read before it is known who asks.", f"Move {WINDOW} down."

    if CSRF not in chain:
        yield 18, "Forms sent by other sites are taken.", f"Add {CSRF}."
    if not settings.SESSION_COOKIE_HTTPONLY or settings.SESSION_COOKIE_SECURE is not settings.HTTPS:
        yield (
            22,
            "The session's cookie can be read by scripts, or is sent without TLS.",
            "Leave SESSION_COOKIE_HTTPONLY and SESSION_COOKIE_SECURE alone.",
        )


def _sign_in() -> Iterator[Finding]:
    backends = list(settings.AUTHENTICATION_BACKENDS)
    if not getattr(settings, "AXES_ENABLED", True) or backends[0] not in AXES_BACKENDS:
        yield (
            13,
            "Passwords may be guessed without limit.",
            "Leave AXES_ENABLED on and its backend first in AUTHENTICATION_BACKENDS.",
        )
    parameters = getattr(settings, "AXES_LOCKOUT_PARAMETERS", ["ip_address"])
    if "username" in parameters or ["username"] in parameters:
        yield (
            14,
            "Somebody elsewhere can hold off the owner's password sign-in.",
            "Name username and ip_address together in AXES_LOCKOUT_PARAMETERS.",
        )
    cool_off = settings.AXES_COOLOFF_TIME
    if not 0 < settings.AXES_FAILURE_LIMIT <= MOST_PASSWORDS or cool_off != COOL_OFF:
        yield (
            19,
            "Passwords may be guessed quickly, or a hold on them never ends.",
            "Set AXES_FAILURE_LIMIT to 10 or less and AXES_COOLOFF_TIME to 15 minutes.",
        )
    handler = getattr(settings, "AXES_HANDLER", "axes.handlers.database.AxesDatabaseHandler")
    if not issubclass(
        import_string(handler), import_string("axes.handlers.database.AxesDatabaseHandler")
    ):
        yield 15, "Failed sign-ins are not counted in the database.", "Leave AXES_HANDLER alone."


def _database() -> Iterator[Finding]:
    for alias, database in settings.DATABASES.items():
        if database.get("ATOMIC_REQUESTS"):
            yield (
                16,
                f"ATOMIC_REQUESTS of {alias!r} would roll counted failures back.",
                "Set it to False.",
            )
        sqlite = database.get("ENGINE") == "django.db.backends.sqlite3"
        mode = str(database.get("OPTIONS", {}).get("transaction_mode", "")).upper()
        if sqlite and mode not in {"IMMEDIATE", "EXCLUSIVE"}:
            yield (
                17,
                f"SQLite database {alias!r} takes its lock too late: two attempts could pass as one.",
                "Set OPTIONS['transaction_mode'] to 'IMMEDIATE'.",
            )
