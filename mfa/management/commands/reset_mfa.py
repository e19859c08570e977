"""Reset somebody's MFA from the portal's console."""

import getpass
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser

from mfa.exceptions import MfaError
from mfa.reset import reset_mfa_from_console


class Command(BaseCommand):
    help = (
        "Reset a person's MFA, as the way back in for the last account admin. Their sessions end; "
        "they sign in with their password and set MFA up again. It goes on the audit log and is "
        "mailed to them."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", help="the person's e-mail address")
        parser.add_argument("--reason", required=True, help="why; goes on the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        people: Any = get_user_model()._default_manager
        try:
            person = people.get_by_natural_key(options["email"])
            reset_mfa_from_console(
                user=person, reason=options["reason"], operator=getpass.getuser()
            )
        except people.model.DoesNotExist:
            raise CommandError(f"Nobody here has the address {options['email']}.") from None
        except MfaError as refused:
            raise CommandError(str(refused)) from None
        self.stdout.write(f"MFA of {person} is reset. Every session of that person has ended.")
