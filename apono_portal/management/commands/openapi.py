"""Print the OpenAPI document of the API."""

import json
from typing import Any

from django.core.management.base import BaseCommand

from apono_portal.api.v1.operations import openapi_document


class Command(BaseCommand):
    help = "Print the OpenAPI document of the API."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(json.dumps(openapi_document(), indent=2, sort_keys=True))
