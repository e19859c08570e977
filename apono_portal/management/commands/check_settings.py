"""``manage.py check_settings``: what is set, from where, and what is wrong. Starts without settings."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apono_portal.configuration.documentation import settings_page
from apono_portal.configuration.settings_report import Report, check_settings


class Command(BaseCommand):
    help = "Print what is set, from where, and what is wrong. Secrets are never shown."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--all", action="store_true", help="also print defaults")
        parser.add_argument("--markdown", action="store_true", help="print docs/settings.md")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["markdown"]:
            self.stdout.write(settings_page(), ending="")
            return
        report = check_settings(show_all=options["all"])
        self._print(report)
        if report.errors:
            sys.exit(1)

    def _print(self, report: Report) -> None:
        widths = [max((len(row[column]) for row in report.rows), default=0) for column in (0, 1)]
        for name, value, source in report.rows:
            self.stdout.write(f"{name:{widths[0]}}  {value:{widths[1]}}  {source}")
        for title, sentences in (("Wrong", report.errors), ("Warning", report.warnings)):
            for sentence in sentences:
                self.stdout.write(f"{title}: {sentence}")
        if not report.errors:
            self.stdout.write("The portal can start with these settings.")
