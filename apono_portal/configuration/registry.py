"""Every setting of the portal. docs/settings.md is made from this list.

`apono_portal/settings.py` reads them through `apono_portal.configuration.environment`, which knows no
other names.
"""

from dataclasses import dataclass

REQUIRED = "required"


@dataclass(frozen=True)
class Setting:
    """One environment variable.

    ``default`` is what counts when it is not set, written as in the environment; ``default_text`` describes
    a default that depends on other settings. The value of a secret is never shown, and may be in a file
    that ``NAME_FILE`` names.
    """

    name: str
    meaning: str
    kind: str = "text"  # or integer, number, flag, list
    default: str = ""
    default_text: str = ""
    is_secret: bool = False
    is_required: bool = False
    minimum: float = 0
    choices: tuple[str, ...] = ()

    @property
    def file_variable(self) -> str:
        """The variable that may name a file with the value; empty for what is no secret."""
        return f"{self.name}_FILE" if self.is_secret else ""


@dataclass(frozen=True)
class Section:
    """Settings under one heading of docs/settings.md."""

    title: str
    settings: tuple[Setting, ...]


SECTIONS = (
    Section(
        "Required",
        (
            Setting(
                "SECRET_KEY", "50 or more random characters.", is_secret=True, is_required=True
            ),
            Setting(
                "ENCRYPTION_KEYS",
                "Keys that encrypt TOTP keys, broker passwords and webhook secrets, and authenticate evidence: "
                "`id:base64url,id:base64url` with 64-byte keys, newest first. "
                "`manage.py make_encryption_key` prints one.",
                is_secret=True,
                is_required=True,
            ),
            Setting(
                "PORTAL_URL",
                "The address users open. `https://` unless its host is a loopback address.",
                is_required=True,
            ),
        ),
    ),
    Section(
        "Portal",
        (
            Setting("PORTAL_NAME", "Shown on every page.", default="Apono Portal"),
            Setting(
                "PORTAL_ID",
                "Marks this portal's roles on targets. Do not change it while access is active.",
                default_text="host and port of `PORTAL_URL`",
            ),
            Setting(
                "ALLOWED_HOSTS",
                "Host names that the portal answers to, separated by commas.",
                kind="list",
                default_text="host of `PORTAL_URL`",
            ),
            Setting(
                "TRUSTED_PROXIES",
                "Number of reverse proxies whose `X-Forwarded-For` is trusted.",
                kind="integer",
                default="0",
            ),
            Setting(
                "TIME_ZONE",
                "Time zone of emails, Insights, and pages of users without their own.",
                default="UTC",
            ),
            Setting(
                "SECRET_KEY_FALLBACKS",
                "Previous secret keys during a rotation, separated by commas.",
                kind="list",
                is_secret=True,
            ),
            Setting(
                "STATIC_ROOT",
                "Where `collectstatic` puts the static files.",
                default_text="`staticfiles/`",
            ),
            Setting("DEBUG", "Never `1` where others can reach it.", kind="flag", default="0"),
            Setting(
                "PORTAL_REVISION",
                "Commit of the running release, shown on the Status page. Container images set it.",
            ),
        ),
    ),
    Section(
        "Database",
        (
            Setting(
                "DATABASE_URL",
                "`postgres://user:password@host:5432/portal` for more than one machine.",
                default_text="SQLite in `var/`",
                is_secret=True,
            ),
            Setting(
                "PREVIOUS_DATABASE_URL",
                "Only for `manage.py restore`: the database in use before, if it still answers. It is read, never "
                "changed.",
                is_secret=True,
            ),
            Setting(
                "DATABASE_STATEMENT_TIMEOUT_S",
                "Seconds after which a PostgreSQL statement, or the wait for it, is aborted. `0` for no limit.",
                kind="integer",
                default="20",
            ),
            Setting(
                "DATABASE_SERVER_TIMEOUTS",
                "`0` behind PgBouncer, which refuses the startup options that set the server's limits.",
                kind="flag",
                default="1",
            ),
            Setting(
                "DATABASE_CONN_MAX_AGE",
                "Seconds to keep a connection to PostgreSQL.",
                kind="integer",
                default="60",
            ),
            Setting(
                "DATABASE_PREPARE_STATEMENTS",
                "`1` lets PostgreSQL plan repeated statements once. Not behind a PgBouncer older than 1.21.",
                kind="flag",
                default="0",
            ),
        ),
    ),
    Section(
        "Sessions and MFA",
        (
            Setting(
                "SESSION_HOURS",
                "A session ends this long after the sign-in.",
                kind="integer",
                default="12",
                minimum=1,
            ),
            Setting(
                "SESSION_IDLE_MINUTES",
                "A session ends this long after its user's last request.",
                kind="integer",
                default="60",
                minimum=1,
            ),
            Setting(
                "MFA_ISSUER",
                "Shown by authenticator apps. ASCII letters are safest.",
                default_text="`PORTAL_NAME`",
            ),
            Setting(
                "MFA_NEW_PASSKEY_HOURS",
                "Hours before flows that accept passkeys only accept a new one, unless an account admin "
                "vouches for it.",
                kind="integer",
                default="24",
            ),
            Setting(
                "MFA_RECOVERY_CODES",
                "`0` turns recovery codes off.",
                kind="flag",
                default="1",
            ),
            Setting(
                "DUAL_CONTROL",
                "`1`: changes that weaken protection wait for a second admin (docs/security.md, Dual control). "
                "Needs two admins with MFA.",
                kind="flag",
                default="0",
            ),
            Setting(
                "MFA_ADMINS_MUST_ENROL",
                "Account admins set up MFA before they change anything. `0` lets those without it act on a "
                "password alone.",
                kind="flag",
                default="1",
            ),
        ),
    ),
    Section(
        "Requests and workers",
        (
            Setting(
                "PENDING_MFA_HOURS",
                "How long a request waits for its requester to verify.",
                kind="integer",
                default="4",
                minimum=1,
            ),
            Setting(
                "APPROVAL_HOURS",
                "How long a request waits for its approvers.",
                kind="integer",
                default="24",
                minimum=1,
            ),
            Setting(
                "ACTIVATION_MINUTES",
                "How long the portal tries to activate an approved request.",
                kind="integer",
                default="15",
                minimum=1,
            ),
            Setting(
                "MAX_ACTIVE_GRANTS_PER_USER",
                "Grants that one user can have at a time.",
                kind="integer",
                default="20",
            ),
            Setting(
                "MAX_ACTIVE_GRANTS_PER_INTEGRATION",
                "Grants that an integration can have at a time.",
                kind="integer",
                default="200",
            ),
            Setting(
                "WORKER_INTERVAL_S",
                "Seconds a worker pauses between rounds while there is work. An idle one pauses ten.",
                kind="number",
                default="1.0",
                minimum=0.05,
            ),
            Setting(
                "WORKER_LEASE_S",
                "Seconds until another worker takes over from one that died.",
                kind="integer",
                default="30",
                minimum=1,
            ),
            Setting(
                "WORKER_MAX_SILENCE_S",
                "Seconds without a completed round after which a worker exits, to be restarted by its service "
                "manager.",
                kind="integer",
                default="120",
                minimum=1,
            ),
            Setting(
                "TARGET_SCAN_INTERVAL_S",
                "How often each target is scanned for drift.",
                kind="integer",
                default="60",
                minimum=1,
            ),
        ),
    ),
    Section(
        "Email and webhooks",
        (
            Setting(
                "EMAIL_URL",
                "`smtp+tls://user:password@mail.example.org:587`. With it, users with a local password can reset it.",
                default_text="no email",
                is_secret=True,
            ),
            Setting("EMAIL_FROM", "Sender of emails.", default_text="`portal@` host"),
            Setting(
                "EMAIL_TIMEOUT_S",
                "Timeout for the mail server, in seconds.",
                kind="integer",
                default="15",
                minimum=1,
            ),
            Setting(
                "WEBHOOK_NETWORKS",
                "Private networks that webhooks, including webhook integrations, may call: `10.0.0.0/8,...`",
                kind="list",
            ),
        ),
    ),
    Section(
        "Single sign-on",
        (
            Setting(
                "SSO_ISSUER",
                "Issuer of the identity provider that `manage.py configure_sso` adds. Others are added on the "
                "page Single Sign-On.",
            ),
            Setting("SSO_NAME", "Its name on the sign-in button.", default="Single Sign-On"),
            Setting("SSO_CLIENT_ID", "Its client ID."),
            Setting("SSO_CLIENT_SECRET", "Its client secret, stored encrypted.", is_secret=True),
            Setting(
                "SSO_SCOPES",
                "The scopes to request, separated by spaces.",
                default="openid profile email",
            ),
            Setting("SSO_GROUPS_CLAIM", "The claim that mappings look at.", default="groups"),
            Setting(
                "SSO_DOMAINS", "Email domains it vouches for, separated by commas.", kind="list"
            ),
            Setting(
                "SSO_NETWORKS",
                "Private networks in which identity providers may be: `10.0.0.0/8,...`",
                kind="list",
            ),
        ),
    ),
    Section(
        "Audit log",
        (
            Setting(
                "AUDIT_SIGNING_KEY_FILE",
                "File with the key that signs audit checkpoints. For workers only: web processes refuse to "
                "start with it.",
            ),
            Setting("AUDIT_SIGNING_KEY", "The same key as text, for workers only.", is_secret=True),
            Setting(
                "AUDIT_PUBLIC_KEYS",
                "Public keys that verify checkpoints, newest first, separated by commas. Keep former ones.",
                kind="list",
            ),
            Setting(
                "AUDIT_CHECKPOINT_EVENTS",
                "A checkpoint is signed after this many events.",
                kind="integer",
                default="1000",
                minimum=1,
            ),
            Setting(
                "AUDIT_CHECKPOINT_MINUTES",
                "Or after this many minutes, if there are new events.",
                kind="number",
                default="5",
            ),
            Setting(
                "AUDIT_CHECKPOINT_FILE",
                "File that signed checkpoints are appended to, on each worker's machine.",
            ),
            Setting(
                "AUDIT_CHECKPOINT_WEBHOOK",
                "`https://` address that signed checkpoints are posted to.",
                is_secret=True,
            ),
            Setting(
                "AUDIT_CHECKPOINT_SYSLOG",
                "Syslog server that receives signed checkpoints: `tls://logs.example.org:6514`, `tcp://` or "
                "`udp://`.",
            ),
        ),
    ),
    Section(
        "SIEM",
        (
            Setting(
                "SIEM_URL",
                "`https://` address that audit events are posted to, as OCSF. The rules of `WEBHOOK_NETWORKS` apply.",
                is_secret=True,
            ),
            Setting(
                "SIEM_AUTHORIZATION",
                "Sent with it as `Authorization`: `Splunk …` or `Bearer …`.",
                is_secret=True,
            ),
            Setting(
                "SIEM_FORMAT",
                "`ndjson`: one JSON object per line. `array`: a JSON array. `splunk`: as the HTTP Event Collector "
                "takes it.",
                default="ndjson",
                choices=("ndjson", "array", "splunk"),
            ),
            Setting(
                "SIEM_SYSLOG",
                "Syslog server that receives audit events: `tls://siem.example.org:6514`, `tcp://` or `udp://`.",
            ),
            Setting(
                "SIEM_FILE",
                "File that audit events are appended to, on each worker's machine.",
            ),
        ),
    ),
    Section(
        "Retention",
        (
            Setting(
                "DELIVERY_RETENTION_DAYS",
                "Days after which deliveries that are not waiting are removed. `0` keeps them.",
                kind="integer",
                default="180",
            ),
            Setting(
                "CHECK_RETENTION_DAYS",
                "Days after which the results of integration checks and canaries are removed. `0` keeps them.",
                kind="integer",
                default="90",
            ),
        ),
    ),
    Section(
        "Logs and metrics",
        (
            Setting(
                "LOG_LEVEL",
                "The least severe lines to log.",
                default="INFO",
                choices=("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
            ),
            Setting(
                "LOG_FORMAT",
                "`json`: one JSON object per line. `line`: plain text.",
                default="json",
                choices=("json", "line"),
            ),
            Setting(
                "METRICS_TOKEN",
                "The token Prometheus sends to `/metrics` as `Authorization: Bearer …`.",
                default_text="no metrics",
                is_secret=True,
            ),
        ),
    ),
)

SETTINGS = {setting.name: setting for section in SECTIONS for setting in section.settings}
FORMER_NAMES = {
    "SEALING_KEYS": "ENCRYPTION_KEYS",
    "PARKED_REQUEST_HOURS": "PENDING_MFA_HOURS",
    "TARGET_LOOK_INTERVAL_S": "TARGET_SCAN_INTERVAL_S",
}
