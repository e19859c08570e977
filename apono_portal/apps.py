"""The portal project: settings, URLs, the worker and the demo."""

from django.apps import AppConfig


class PortalConfig(AppConfig):
    name = "apono_portal"
    label = "portal"
