"""``manage.py flows``: access flows as code. docs/flows-as-code.md describes it."""

import getpass
import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accessflows.exceptions import Refused
from accessflows.flows.files.document import schema
from accessflows.flows.files.plan import MAX_PLAN_BYTES, FlowSource, Missing, make_plan
from accessflows.flows.files.reader import MAX_BYTES
from accessflows.flows.files.services import apply_plan_from_console
from accessflows.flows.files.writer import export_flows
from accessflows.models import AccessFlow
from apono_portal.users.models import User
from mfa.exceptions import MfaError
from requests_app.flow_plans import describe_plan, plan_text

CHANGES = 2  # the exit status of a plan that would change something


class Command(BaseCommand):
    help = "Export access flows as YAML, show what applying a file would change, and apply it."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        export = verbs.add_parser("export", help="print access flows as YAML")
        export.add_argument("names", nargs="*", help="names of access flows; none for all")
        verbs.add_parser("schema", help="print the JSON Schema of a file")
        plan = verbs.add_parser("plan", help="show what applying a file would change")
        plan.add_argument("file", type=Path, help="the YAML file")
        plan.add_argument("--out", type=Path, help="write the plan here, for apply")
        plan.add_argument("--json", action="store_true", help="print JSON")
        plan.add_argument("--name", help="name of the file to record (default: its own)")
        plan.add_argument("--commit", default="", help="commit of the file, to record")
        missing = plan.add_mutually_exclusive_group()
        missing.add_argument(
            "--deactivate-missing",
            dest="missing",
            action="store_const",
            const=Missing.DEACTIVATE,
            help="deactivate access flows that are no longer in the file",
        )
        missing.add_argument(
            "--release-missing",
            dest="missing",
            action="store_const",
            const=Missing.RELEASE,
            help="let pages change access flows that are no longer in the file",
        )
        apply = verbs.add_parser("apply", help="apply a plan")
        apply.add_argument("plan", type=Path, help="what plan --out wrote")
        apply.add_argument("--admin", help="email of the active admin to record as the actor")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['verb']}")(options)
        except (Refused, MfaError) as refusal:
            raise CommandError(str(refusal)) from None
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}.") from None
        except UnicodeDecodeError:
            raise CommandError("The file is not UTF-8 text.") from None

    def _export(self, options: dict[str, Any]) -> None:
        flows = list(AccessFlow.objects.all())
        if names := options["names"]:
            flows = [flow for flow in flows if flow.name in names]
            if unknown := sorted(set(names) - {flow.name for flow in flows}):
                raise CommandError(f"There is no access flow {unknown[0]}.")
        self.stdout.write(export_flows(flows), ending="")

    def _schema(self, options: dict[str, Any]) -> None:
        self.stdout.write(json.dumps(schema(), indent=2, sort_keys=True))

    def _plan(self, options: dict[str, Any]) -> None:
        file: Path = options["file"]
        source = FlowSource(
            document=_read(file, MAX_BYTES),
            file=options["name"] or file.name,
            commit=options["commit"],
            missing=options["missing"] or Missing.KEEP,
        )
        plan = make_plan(source)
        if options["out"]:
            options["out"].write_text(plan.as_text() + "\n", encoding="utf-8")
        shown = json.dumps(describe_plan(plan), indent=2) if options["json"] else plan_text(plan)
        self.stdout.write(shown)
        if plan.changes:
            sys.exit(CHANGES)

    def _apply(self, options: dict[str, Any]) -> None:
        admin = None
        if email := options["admin"]:
            admin = User.objects.account_admins().filter(email=email).first()
            if admin is None:
                raise CommandError(f"{email} is no active admin.")
        plan = apply_plan_from_console(
            admin=admin,
            operator=getpass.getuser(),
            plan=_read(options["plan"], MAX_PLAN_BYTES),
        )
        self.stdout.write(f"Applied. Access flows changed: {len(plan.changes)}.")


def _read(file: Path, longest: int) -> str:
    """Return the text of a file, as far as it can be valid."""
    with file.open("rb") as stream:
        return stream.read(longest + 1).decode("utf-8-sig")
