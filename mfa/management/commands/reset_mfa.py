"""Reset a user's MFA from the console."""

import getpass
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser

from mfa.exceptions import MfaError
from mfa.reset import reset_mfa_from_console


class Command(BaseCommand):
    help = (
        "Reset a user's MFA. This is the way back in for the last account admin. The user is signed out "
        "everywhere, signs in with the password and sets up MFA again. The reset is recorded in the "
        "audit log and emailed to the user."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", help="the user's email")
        parser.add_argument("--reason", required=True, help="recorded in the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        users = get_user_model()
        try:
            user = users.objects.get_by_natural_key(options["email"])
            reset_mfa_from_console(user=user, reason=options["reason"], operator=getpass.getuser())
        except users.DoesNotExist:
            raise CommandError(f"No user has the email {options['email']}.") from None
        except MfaError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"MFA was reset for {user}, and all their sessions were ended.")
