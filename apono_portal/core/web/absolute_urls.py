"""Whole addresses of the portal's pages, for emails and webhooks."""

from django.conf import settings
from django.urls import reverse


def absolute_url(name: str, *args: object) -> str:
    """Return the address of a page, by the name of its URL, as somebody outside a browser needs it."""
    return f"{settings.PORTAL_URL}{reverse(name, args=args)}"
