"""Settings, read from the environment.

``SECRET_KEY``, ``ENCRYPTION_KEYS`` and ``PORTAL_URL`` are required: without them the portal refuses to
start and says what to set. ``ENV_FILE`` may name a file with environment variables.
"""

import os
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from apono_portal.observability.logs import FORMATS, logging_for

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
if env_file := os.environ.get("ENV_FILE"):
    environ.Env.read_env(env_file, encoding="utf-8")


def required(name: str, description: str) -> str:
    """Return a setting without a safe default, or refuse to start."""
    value: str = env.str(name, default="").strip()
    if not value:
        raise ImproperlyConfigured(f"Set {name}: {description}")
    return value


def networks(texts: list[str]) -> list[IPv4Network | IPv6Network]:
    """Return networks like ``10.0.0.0/8``, or refuse to start."""
    try:
        return [ip_network(text.strip()) for text in texts]
    except ValueError as error:
        raise ImproperlyConfigured(
            f"WEBHOOK_NETWORKS must list networks like 10.0.0.0/8: {error}."
        ) from None


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
SECRET_KEY = required("SECRET_KEY", "50 or more random characters, kept secret.")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
RENAMED = {
    "SEALING_KEYS": "ENCRYPTION_KEYS",
    "PARKED_REQUEST_HOURS": "PENDING_MFA_HOURS",
    "TARGET_LOOK_INTERVAL_S": "TARGET_SCAN_INTERVAL_S",
}
for former, name in RENAMED.items():
    if former in env.ENVIRON:
        raise ImproperlyConfigured(f"{former} is now called {name}. Rename the variable.")
ENCRYPTION_KEYS = required(
    "ENCRYPTION_KEYS",
    "the keys that encrypt TOTP keys and broker passwords, as 'id:base64url,id:base64url' with "
    "64-byte keys, newest first. `manage.py make_encryption_key` prints one.",
)
PORTAL_URL = required(
    "PORTAL_URL", "the portal's URL, for example https://access.example.org."
).rstrip("/")

_address = urlsplit(PORTAL_URL)
if _address.scheme not in {"http", "https"} or not _address.hostname:
    raise ImproperlyConfigured("PORTAL_URL must be an http:// or https:// URL with a host.")
_loopback = _address.hostname in {"127.0.0.1", "localhost", "::1"}
HTTPS = _address.scheme == "https"
if not HTTPS and not _loopback:
    raise ImproperlyConfigured(
        "PORTAL_URL must start with https:// unless its host is a loopback address."
    )

DEBUG = env.bool("DEBUG", default=False)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[_address.hostname])
PORTAL_NAME = env.str("PORTAL_NAME", default="Apono Portal")
PORTAL_ID = env.str("PORTAL_ID", default=_address.netloc)

# --- Applications -----------------------------------------------------------------------------
INSTALLED_APPS = [
    "apono_portal.apps.PortalConfig",
    "apono_portal.users.apps.UsersConfig",
    "apono_portal.notifications.apps.NotificationsConfig",
    "apono_portal.scim.apps.ScimConfig",
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
    "apono_portal.core.web.no_store.NoStoreMiddleware",
    "apono_portal.users.middleware.SignInLimitMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "apono_portal.users.middleware.IdleTimeoutMiddleware",
    "mfa.middleware.VerifiedWindowMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "apono_portal.users.middleware.PasswordRefusalMiddleware",
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
                "durations": "apono_portal.core.formatting.durations",
            },
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "apono_portal.context_processors.portal",
                "requests_app.context_processors.navigation",
            ],
        },
    },
]
CRISPY_ALLOWED_TEMPLATE_PACKS = "crispy"
CRISPY_TEMPLATE_PACK = "crispy"

# --- Database ---------------------------------------------------------------------------------
DATABASES = {
    "default": env.db_url(
        "DATABASE_URL", default=f"sqlite:///{BASE_DIR / 'var' / 'portal.sqlite3'}"
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
    DATABASES["default"].setdefault("CONN_MAX_AGE", env.int("DATABASE_CONN_MAX_AGE", default=60))
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    DATABASES["default"]["OPTIONS"] = database_limits(
        env.int("DATABASE_STATEMENT_TIMEOUT_S", default=20),
        by_server=env.bool("DATABASE_SERVER_TIMEOUTS", default=True),
    ) | DATABASES["default"].get("OPTIONS", {})
    # PostgreSQL plans a repeated statement once. PgBouncer must be 1.21 or later for it.
    if env.bool("DATABASE_PREPARE_STATEMENTS", default=False):
        DATABASES["default"]["OPTIONS"].update(server_side_binding=True, prepare_threshold=5)
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
SESSION_COOKIE_AGE = int(timedelta(hours=env.int("SESSION_HOURS", default=12)).total_seconds())
SESSION_IDLE = timedelta(minutes=env.int("SESSION_IDLE_MINUTES", default=60))
if SESSION_COOKIE_AGE <= 0 or timedelta(0) >= SESSION_IDLE:
    raise ImproperlyConfigured("SESSION_HOURS and SESSION_IDLE_MINUTES must be above zero.")
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
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=0)

# --- Multi-factor authentication --------------------------------------------------------------
OTP_TOTP_SYNC = False
OTP_TOTP_THROTTLE_FACTOR = 0  # mfa/verification/rate_limits.py limits attempts
OTP_TOTP_ISSUER = env.str("MFA_ISSUER", default=PORTAL_NAME)
MFA_WINDOW = timedelta(hours=1)
MFA_STEP_UP_URL = "requests:step_up"
MFA_CONFIRM_PASSWORD_URL = "requests:confirm_password"
MFA_RECENT_SIGN_IN = timedelta(minutes=15)
MFA_SET_UP_LIFETIME = timedelta(minutes=30)
MFA_RECOVERY_CODES = env.bool("MFA_RECOVERY_CODES", default=True)
MFA_ADMINS_MUST_ENROL = env.bool("MFA_ADMINS_MUST_ENROL", default=True)
# How long a new passkey does not count for flows that demand one, unless an admin vouches for it.
MFA_NEW_PASSKEY_WAIT = timedelta(hours=env.int("MFA_NEW_PASSKEY_HOURS", default=24))

# --- Requests and grants ----------------------------------------------------------------------
PENDING_MFA_LIFETIME = timedelta(hours=env.int("PENDING_MFA_HOURS", default=4))
APPROVAL_LIFETIME = timedelta(hours=env.int("APPROVAL_HOURS", default=24))
ACTIVATION_LIFETIME = timedelta(minutes=env.int("ACTIVATION_MINUTES", default=15))
MAX_ACTIVE_GRANTS_PER_USER = env.int("MAX_ACTIVE_GRANTS_PER_USER", default=20)
MAX_ACTIVE_GRANTS_PER_INTEGRATION = env.int("MAX_ACTIVE_GRANTS_PER_INTEGRATION", default=200)
WORKER_INTERVAL_S = env.float("WORKER_INTERVAL_S", default=1.0)
TARGET_SCAN_INTERVAL = timedelta(seconds=env.int("TARGET_SCAN_INTERVAL_S", default=60))
WORKER_MAX_SILENCE = timedelta(seconds=env.int("WORKER_MAX_SILENCE_S", default=120))
WORKER_LEASE = timedelta(seconds=env.int("WORKER_LEASE_S", default=30))

# --- Audit log --------------------------------------------------------------------------------
# Only workers have a signing key; web processes refuse to start with one (wsgi.py).
AUDIT_SIGNING_KEY = env.str("AUDIT_SIGNING_KEY", default="")
AUDIT_SIGNING_KEY_FILE = env.str("AUDIT_SIGNING_KEY_FILE", default="")
AUDIT_PUBLIC_KEYS = env.list("AUDIT_PUBLIC_KEYS", default=[])
AUDIT_CHECKPOINT_EVENTS = env.int("AUDIT_CHECKPOINT_EVENTS", default=1000)
AUDIT_CHECKPOINT_INTERVAL = timedelta(minutes=env.float("AUDIT_CHECKPOINT_MINUTES", default=5))
AUDIT_CHECKPOINT_FILE = env.str("AUDIT_CHECKPOINT_FILE", default="")
AUDIT_CHECKPOINT_WEBHOOK = env.str("AUDIT_CHECKPOINT_WEBHOOK", default="")
AUDIT_CHECKPOINT_SYSLOG = env.str("AUDIT_CHECKPOINT_SYSLOG", default="")

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
STATIC_ROOT = env.str("STATIC_ROOT", default=str(BASE_DIR / "staticfiles"))
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
TIME_ZONE = env.str("TIME_ZONE", default="UTC")  # shown on pages; the database stores UTC
USE_TZ = True
USE_I18N = False

# --- Email, webhooks, logs and metrics --------------------------------------------------------
vars().update(env.email_url("EMAIL_URL", default="dummymail://"))
DEFAULT_FROM_EMAIL = env.str("EMAIL_FROM", default=f"portal@{_address.hostname}")
EMAIL_CONFIGURED = bool(env.str("EMAIL_URL", default=""))
EMAIL_TIMEOUT = env.int("EMAIL_TIMEOUT_S", default=15)
# Private networks that webhooks may be sent to.
WEBHOOK_NETWORKS = networks(env.list("WEBHOOK_NETWORKS", default=[]))

LOG_FORMAT = env.str("LOG_FORMAT", default="json")
if LOG_FORMAT not in FORMATS:
    raise ImproperlyConfigured("LOG_FORMAT must be json or line.")
LOGGING = logging_for(LOG_FORMAT, env.str("LOG_LEVEL", default="INFO"))
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")  # /metrics is off without it
