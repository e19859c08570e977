"""Absolute URLs of pages, for emails and webhooks."""

from django.conf import settings
from django.urls import reverse


def absolute_url(name: str, *args: object) -> str:
    """Return the URL of a page with scheme and host."""
    return f"{settings.PORTAL_URL}{reverse(name, args=args)}"
