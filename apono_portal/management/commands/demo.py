"""``manage.py demo``: seed the demo's users, groups, integration and access flows."""

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError, call_command

from accessflows.connectors.postgresql.settings import PostgreSQLSettings
from accessflows.connectors.protocol import Target
from apono_portal.demo.errors import DemoError
from apono_portal.demo.seeding import seed
from apono_portal.demo.target import MAINTENANCE_DATABASE


class Command(BaseCommand):
    """Run by ``make run``. Existing rows stay as they are."""

    help = "Seed the demo. `make run` does this for you."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", required=True, help="host of the demo's PostgreSQL")
        parser.add_argument("--port", required=True, type=int)
        parser.add_argument("--broker", required=True, help="the portal's role on it")
        parser.add_argument(
            "--accounts",
            required=True,
            type=Path,
            help="file for the demo's accounts and passwords",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        password = os.environ.get("DEMO_BROKER_PASSWORD")
        if not password:
            raise CommandError("DEMO_BROKER_PASSWORD is not set. Start the demo with `make run`.")
        self.stdout.write("Preparing database and static files")
        call_command("migrate", verbosity=0, interactive=False)
        call_command("collectstatic", verbosity=0, interactive=False)
        target = Target(
            host=options["host"],
            port=options["port"],
            user=options["broker"],
            password=password,
            settings=PostgreSQLSettings(MAINTENANCE_DATABASE),
        )
        try:
            lines = seed(target, accounts=options["accounts"])
        except DemoError as error:
            raise CommandError(str(error)) from None
        for line in lines:
            self.stdout.write(line)
