"""Settings, read from the environment.

apono_portal/configuration/registry.py describes them; docs/settings.md is made from it.
"""

from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from apono_portal.configuration.environment import Environment
from apono_portal.observability.logs import logging_for

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment.load()
env.require_current_names()


def database(url: str) -> dict[str, Any]:
    """Return Django's settings for a database, or refuse to start."""
    if url.partition("://")[0] not in {"postgres", "postgresql", "pgsql", "sqlite"}:
        raise ImproperlyConfigured("DATABASE_URL must start with postgres:// or sqlite://.")
    try:
        config: dict[str, Any] = environ.Env.db_url_config(url)
    except ValueError:
        raise ImproperlyConfigured("DATABASE_URL is not a valid URL.") from None
    return config


def email(url: str) -> dict[str, Any]:
    """Return Django's settings for email, or refuse to start."""
    try:
        config: dict[str, Any] = environ.Env.email_url_config(url)
    except (ImproperlyConfigured, ValueError, KeyError):
        raise ImproperlyConfigured(
            "EMAIL_URL must look like smtp+tls://user:password@mail.example.org:587."
        ) from None
    return config


def time_zone(name: str) -> str:
    """Return the name of a time zone, or refuse to start."""
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise ImproperlyConfigured(
            "TIME_ZONE must name a time zone, such as Europe/Vienna."
        ) from None
    return name


def networks(name: str, texts: list[str]) -> list[IPv4Network | IPv6Network]:
    """Return networks like ``10.0.0.0/8``, or refuse to start. ``name`` is the setting's."""
    try:
        return [ip_network(text.strip()) for text in texts]
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} must list networks like 10.0.0.0/8: {error}.") from None


def database_limits(statement_s: int, *, by_server: bool) -> dict[str, Any]:
    """Return connection options that end every wait for PostgreSQL; 0 seconds leave statements unlimited.

    The client gives up on its own after the server should have. Limits ``by_server`` are startup options,
    which PgBouncer refuses; set them on the role there.
    """
    milliseconds = 1000 * statement_s
    options: dict[str, Any] = {
        "connect_timeout": 5,
        "tcp_user_timeout": 10_000,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 2,
    }
    if statement_s:
        options["response_timeout_s"] = statement_s + 2
    if statement_s and by_server:
        options["options"] = (
            f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds // 2}"
            f" -c idle_in_transaction_session_timeout={milliseconds}"
        )
    return options


# --- Required ---------------------------------------------------------------------------------
SECRET_KEY = env.text("SECRET_KEY")
SECRET_KEY_FALLBACKS = env.items("SECRET_KEY_FALLBACKS")
ENCRYPTION_KEYS = env.text("ENCRYPTION_KEYS")
PORTAL_URL = env.text("PORTAL_URL").rstrip("/")

_address = urlsplit(PORTAL_URL)
if _address.scheme not in {"http", "https"} or not _address.hostname:
    raise ImproperlyConfigured("PORTAL_URL must be an http:// or https:// URL with a host.")
_loopback = _address.hostname in {"127.0.0.1", "localhost", "::1"}
HTTPS = _address.scheme == "https"
if not HTTPS and not _loopback:
    raise ImproperlyConfigured(
        "PORTAL_URL must start with https:// unless its host is a loopback address."
    )

DEBUG = env.flag("DEBUG")
ALLOWED_HOSTS = env.items("ALLOWED_HOSTS") or [_address.hostname]
PORTAL_NAME = env.text("PORTAL_NAME")
PORTAL_ID = env.text("PORTAL_ID") or _address.netloc
PORTAL_REVISION = env.text("PORTAL_REVISION")

# --- Applications -----------------------------------------------------------------------------
INSTALLED_APPS = [
    "apono_portal.apps.PortalConfig",
    "apono_portal.users.apps.UsersConfig",
    "apono_portal.notifications.apps.NotificationsConfig",
    "apono_portal.scim.apps.ScimConfig",
    "apono_portal.sso.apps.SsoConfig",
    "apono_portal.api.apps.ApiConfig",
    "requests_app",
    "accessflows",
    "mfa",
    "audit",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "crispy_forms",
    "django_htmx",
    "csp",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "apono_portal.health.HealthMiddleware",
    "apono_portal.core.web.portal_host.PortalHostMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "apono_portal.observability.request_durations.RequestDurationMiddleware",
    "apono_portal.core.web.no_store.NoStoreMiddleware",
    "apono_portal.api.authentication.CookielessMiddleware",
    "apono_portal.users.middleware.SignInLimitMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "apono_portal.users.middleware.SignInRequiredMiddleware",
    "apono_portal.users.middleware.IdleTimeoutMiddleware",
    "apono_portal.users.time_zones.TimeZoneMiddleware",
    "mfa.middleware.VerifiedWindowMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "apono_portal.users.middleware.PasswordRefusalMiddleware",
    "accessflows.dual_control.proposal_middleware.DualControlMiddleware",
]
ROOT_URLCONF = "apono_portal.urls"
WSGI_APPLICATION = "apono_portal.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "libraries": {
                "active_access": "requests_app.active_access.tags",
                "datetimes": "apono_portal.core.formatting.datetimes",
                "kept_forms": "apono_portal.core.web.kept_forms",
                "durations": "apono_portal.core.formatting.durations",
                "pending_changes": "accessflows.dual_control.note_tags",
                "target_promises": "accessflows.flows.tags",
                "user_links": "apono_portal.users.user_links",
            },
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "apono_portal.context_processors.portal",
                "requests_app.context_processors.navigation",
                "apono_portal.context_processors.problems",
            ],
        },
    },
]
CRISPY_ALLOWED_TEMPLATE_PACKS = "crispy"
CRISPY_TEMPLATE_PACK = "crispy"

# --- Database ---------------------------------------------------------------------------------
DATABASES = {
    "default": database(
        env.text("DATABASE_URL") or f"sqlite:///{BASE_DIR / 'var' / 'portal.sqlite3'}"
    )
}
DATABASES["default"]["ATOMIC_REQUESTS"] = False
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
else:
    DATABASES["default"]["ENGINE"] = "apono_portal.core.db.postgresql"
    DATABASES["default"].setdefault("CONN_MAX_AGE", env.integer("DATABASE_CONN_MAX_AGE"))
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    DATABASES["default"]["OPTIONS"] = database_limits(
        env.integer("DATABASE_STATEMENT_TIMEOUT_S"),
        by_server=env.flag("DATABASE_SERVER_TIMEOUTS"),
    ) | DATABASES["default"].get("OPTIONS", {})
    # PostgreSQL plans a repeated statement once. PgBouncer must be 1.21 or later for it.
    if env.flag("DATABASE_PREPARE_STATEMENTS"):
        DATABASES["default"]["OPTIONS"].update(server_side_binding=True, prepare_threshold=5)
if PREVIOUS_DATABASE_URL := env.text("PREVIOUS_DATABASE_URL"):  # for `manage.py restore` alone
    DATABASES["previous"] = DATABASES["default"] | database(PREVIOUS_DATABASE_URL)
    DATABASES["previous"]["ENGINE"] = DATABASES["default"]["ENGINE"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Users and sessions -----------------------------------------------------------------------
AUTH_USER_MODEL = "users.User"
AUTHENTICATION_BACKENDS = ["apono_portal.users.backends.EmailBackend"]
LOGIN_URL = "users:sign_in"
LOGIN_REDIRECT_URL = "requests:my_access"
LOGOUT_REDIRECT_URL = "users:sign_in"
PASSWORD_HASHERS = [
    "apono_portal.users.hashers.PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("name", "email")},
    },
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
PASSWORD_RESET_TIMEOUT = int(timedelta(hours=24).total_seconds())  # links to set a password
SESSION_ENGINE = "apono_portal.users.sessions"
SESSION_COOKIE_AGE = int(timedelta(hours=env.integer("SESSION_HOURS")).total_seconds())
SESSION_IDLE = timedelta(minutes=env.integer("SESSION_IDLE_MINUTES"))
SESSION_COOKIE_NAME = "__Host-session" if HTTPS else "session"
SESSION_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_NAME = "__Host-csrf" if HTTPS else "csrf"
CSRF_COOKIE_SECURE = HTTPS
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_TRUSTED_ORIGINS = [PORTAL_URL]
CSRF_FAILURE_VIEW = "apono_portal.views.csrf_failure"

SILENCED_SYSTEM_CHECKS: list[str] = []

# Number of reverse proxies whose X-Forwarded-For entries are trusted.
TRUSTED_PROXIES = env.integer("TRUSTED_PROXIES")

# --- Single sign-on -----------------------------------------------------------------------------
# One provider by environment (`manage.py configure_sso`); others on the page Single Sign-On.
SSO_ISSUER = env.text("SSO_ISSUER")
SSO_NAME = env.text("SSO_NAME")
SSO_CLIENT_ID = env.text("SSO_CLIENT_ID")
SSO_CLIENT_SECRET = env.text("SSO_CLIENT_SECRET")
SSO_SCOPES = env.text("SSO_SCOPES")
SSO_GROUPS_CLAIM = env.text("SSO_GROUPS_CLAIM")
SSO_DOMAINS = env.items("SSO_DOMAINS")
# Private networks in which identity providers may be.
SSO_NETWORKS = networks("SSO_NETWORKS", env.items("SSO_NETWORKS"))

# --- Multi-factor authentication --------------------------------------------------------------
OTP_TOTP_SYNC = False
OTP_TOTP_THROTTLE_FACTOR = 0  # mfa/verification/rate_limits.py limits attempts
OTP_TOTP_ISSUER = env.text("MFA_ISSUER") or PORTAL_NAME
MFA_WINDOW = timedelta(hours=1)
MFA_STEP_UP_URL = "requests:step_up"
MFA_CONFIRM_PASSWORD_URL = "requests:confirm_password"
MFA_RECENT_SIGN_IN = timedelta(minutes=15)
MFA_SET_UP_LIFETIME = timedelta(minutes=30)
MFA_RECOVERY_CODES = env.flag("MFA_RECOVERY_CODES")
MFA_ADMINS_MUST_ENROL = env.flag("MFA_ADMINS_MUST_ENROL")
# What weakens protection waits for a second admin (accessflows/dual_control).
DUAL_CONTROL = env.flag("DUAL_CONTROL")
# How long a new passkey does not count for flows that demand one, unless an admin vouches for it.
MFA_NEW_PASSKEY_WAIT = timedelta(hours=env.integer("MFA_NEW_PASSKEY_HOURS"))

# --- Requests and grants ----------------------------------------------------------------------
PENDING_MFA_LIFETIME = timedelta(hours=env.integer("PENDING_MFA_HOURS"))
APPROVAL_LIFETIME = timedelta(hours=env.integer("APPROVAL_HOURS"))
ACTIVATION_LIFETIME = timedelta(minutes=env.integer("ACTIVATION_MINUTES"))
MAX_ACTIVE_GRANTS_PER_USER = env.integer("MAX_ACTIVE_GRANTS_PER_USER")
MAX_ACTIVE_GRANTS_PER_INTEGRATION = env.integer("MAX_ACTIVE_GRANTS_PER_INTEGRATION")
WORKER_INTERVAL_S = env.number("WORKER_INTERVAL_S")
TARGET_SCAN_INTERVAL = timedelta(seconds=env.integer("TARGET_SCAN_INTERVAL_S"))
WORKER_MAX_SILENCE = timedelta(seconds=env.integer("WORKER_MAX_SILENCE_S"))
WORKER_LEASE = timedelta(seconds=env.integer("WORKER_LEASE_S"))

# --- Audit log --------------------------------------------------------------------------------
# Only workers have a signing key; web processes refuse to start with one (wsgi.py).
AUDIT_SIGNING_KEY = env.text("AUDIT_SIGNING_KEY")
AUDIT_SIGNING_KEY_FILE = env.text("AUDIT_SIGNING_KEY_FILE")
KEY_FILES = [*env.secret_files(), AUDIT_SIGNING_KEY_FILE]  # no backup is written beside them
AUDIT_PUBLIC_KEYS = env.items("AUDIT_PUBLIC_KEYS")
AUDIT_CHECKPOINT_EVENTS = env.integer("AUDIT_CHECKPOINT_EVENTS")
AUDIT_CHECKPOINT_INTERVAL = timedelta(minutes=env.number("AUDIT_CHECKPOINT_MINUTES"))
AUDIT_CHECKPOINT_FILE = env.text("AUDIT_CHECKPOINT_FILE")
AUDIT_CHECKPOINT_WEBHOOK = env.text("AUDIT_CHECKPOINT_WEBHOOK")
AUDIT_CHECKPOINT_SYSLOG = env.text("AUDIT_CHECKPOINT_SYSLOG")
SIEM_URL = env.text("SIEM_URL")
SIEM_AUTHORIZATION = env.text("SIEM_AUTHORIZATION")
SIEM_FORMAT = env.text("SIEM_FORMAT")
SIEM_SYSLOG = env.text("SIEM_SYSLOG")
SIEM_FILE = env.text("SIEM_FILE")

# --- Retention --------------------------------------------------------------------------------
DELIVERY_RETENTION_DAYS = env.integer("DELIVERY_RETENTION_DAYS")
CHECK_RETENTION_DAYS = env.integer("CHECK_RETENTION_DAYS")

# --- HTTP security and static files -----------------------------------------------------------
SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
if TRUSTED_PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000_000

STATIC_URL = "static/"
STATIC_ROOT = env.text("STATIC_ROOT") or str(BASE_DIR / "staticfiles")
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

LANGUAGE_CODE = "en-gb"
TIME_ZONE = time_zone(env.text("TIME_ZONE"))  # of emails, and of pages without a zone of their own
USE_TZ = True
USE_I18N = False
FORMAT_MODULE_PATH = ["apono_portal.formats"]  # 24-hour times

# --- Email, webhooks, logs and metrics --------------------------------------------------------
EMAIL_CONFIGURED = bool(env.text("EMAIL_URL"))
vars().update(email(env.text("EMAIL_URL") or "dummymail://"))
DEFAULT_FROM_EMAIL = env.text("EMAIL_FROM") or f"portal@{_address.hostname}"
EMAIL_TIMEOUT = env.integer("EMAIL_TIMEOUT_S")
# Private networks that webhooks may be sent to.
WEBHOOK_NETWORKS = networks("WEBHOOK_NETWORKS", env.items("WEBHOOK_NETWORKS"))

LOGGING = logging_for(env.text("LOG_FORMAT"), env.text("LOG_LEVEL"))
METRICS_TOKEN = env.text("METRICS_TOKEN")  # /metrics is off without it
