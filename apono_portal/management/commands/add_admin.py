"""``manage.py add_admin``: add the first account admin of a new portal."""

import getpass
from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser

from apono_portal.users.exceptions import UserError
from apono_portal.users.services.console import add_admin_from_console


class Command(BaseCommand):
    help = "Add an account admin and print a link to set a password."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", help="the admin's email")
        parser.add_argument("name", help="the admin's name, in quotes")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            invitation = add_admin_from_console(
                email=options["email"], name=options["name"], operator=getpass.getuser()
            )
        except UserError as error:
            raise CommandError(error.sentence) from None
        self.stdout.write("Open this link to set a password. It works once:")
        self.stdout.write(invitation.link)
