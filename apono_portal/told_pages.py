"""Addresses of the pages that mails and posts lead to.

A worker writes those. It shows no page, and to find one by its name would load all of them.
"""

from django.conf import settings

PATHS = {
    "audit:list": "/audit-log/",
    "integrations:detail": "/integrations/{}/",
    "integrations:list": "/integrations/",
    "notifications:choose": "/account/notices/",
    "notifications:webhooks": "/webhooks/",
    "requests:decide": "/approvals/AR-{}/",
    "requests:detail": "/requests/AR-{}/",
    "requests:step_up": "/account/step-up/",
    "users:set_password": "/set-password/{}/{}/",
}


def page(name: str, *args: object) -> str:
    """Return the whole address of a page by the name of its URL."""
    return f"{settings.PORTAL_URL}{PATHS[name].format(*args)}"
