"""Fills a portal with the demo: people, groups, the demo target and its access flows."""

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError, call_command

from accessflows.connectors.protocol import Target
from apono_portal.demo.errors import DemoError
from apono_portal.demo.seeding import seed
from apono_portal.demo.target import MAINTENANCE_DATABASE


class Command(BaseCommand):
    """Run by ``make run``. What is there already stays as it is."""

    help = "Fill the portal with the demo. `make run` does this for you."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", required=True, help="address of the demo's PostgreSQL")
        parser.add_argument("--port", required=True, type=int)
        parser.add_argument("--broker", required=True, help="the portal's role on it")

        parser.add_argument(
            "--accounts", required=True, type=Path, help="file the demo's sign-ins are written to"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        password = os.environ.get("DEMO_BROKER_PASSWORD")
        if not password:
            raise CommandError("Start the demo with `make run`: it knows the broker's password.")
        self.stdout.write("Preparing the database and the static files")
        call_command("migrate", verbosity=0, interactive=False)
        call_command("collectstatic", verbosity=0, interactive=False)
        target = Target(
            host=options["host"],
            port=options["port"],
            database=MAINTENANCE_DATABASE,
            user=options["broker"],
            password=password,
        )
        try:
            told = seed(target, accounts=options["accounts"])
        except DemoError as error:
            raise CommandError(str(error)) from None
        for sentence in told:
            self.stdout.write(sentence)
