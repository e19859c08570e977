"""What a token may be used for. It never permits more than its user's role does."""

from django.db import models


class Scope(models.TextChoices):
    """One group of operations, with the label that pages show."""

    INVENTORY_READ = "inventory:read", "See what you may request, and preview requests"
    REQUESTS_READ = "requests:read", "Read your requests"
    REQUESTS_WRITE = "requests:write", "Request, cancel, extend and revoke access"
    ACCESS_READ = "access:read", "List your active access"
    ACCESS_REVEAL = "access:reveal", "Reveal and reset credentials"
    APPROVALS_READ = "approvals:read", "Read the requests you may decide on"
    APPROVALS_WRITE = "approvals:write", "Approve and reject requests"
    FLOWS_READ = "flows:read", "Read access flows and integrations (admins and auditors)"
    FLOWS_WRITE = "flows:write", "Plan and apply files of access flows (admins)"
    USERS_READ = "users:read", "Read users and groups (admins and auditors)"
    AUDIT_READ = "audit:read", "Read activity and the audit log (admins and auditors)"


# What an AI agent's token may have: it reads and requests for its user, and never decides.
AGENT_SCOPES = (
    Scope.INVENTORY_READ,
    Scope.REQUESTS_READ,
    Scope.REQUESTS_WRITE,
    Scope.ACCESS_READ,
    Scope.ACCESS_REVEAL,
)
