"""``manage.py setup``: a guided first start. Starts without settings."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apono_portal.configuration.guided_setup import (
    SetupFailed,
    ask_settings,
    require_new,
    run_command,
    write_environment,
)


class Command(BaseCommand):
    help = "Ask for address, database, mail and first admin, and write the environment file."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--folder",
            type=Path,
            default=Path("/etc/apono-portal"),
            help="folder for portal.env and audit.key (default: /etc/apono-portal)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._set_up(options["folder"])
        except (SetupFailed, OSError) as error:
            raise CommandError(str(error)) from None
        except (EOFError, KeyboardInterrupt):
            raise CommandError("Stopped. Run `manage.py setup` again to go on.") from None

    def _set_up(self, folder: Path) -> None:
        require_new(folder)
        answers = ask_settings(input)
        email, name = input("Email of the first admin: "), input("Name of the first admin: ")
        self.stdout.write("Starting the portal with these answers.")
        file = write_environment(folder, answers)
        self.stdout.write(f"Wrote {file} and {folder / 'audit.key'}, which only workers may read.")
        run_command(file, "migrate", "--noinput")
        self.stdout.write(run_command(file, "add_admin", email.strip(), name.strip()), ending="")
        self.stdout.write(
            f"Back up ENCRYPTION_KEYS from {file} apart from the database. "
            f"Then start web and worker with ENV_FILE={file}: see docs/deployment.md."
        )
