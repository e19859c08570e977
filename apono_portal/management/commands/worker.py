"""``manage.py worker``: opens, ends and proves access on the targets, until it is told to stop."""

import os
import signal
import socket
from typing import Any

from django.conf import settings
from django.core.checks import Tags
from django.core.management.base import BaseCommand, CommandParser

from accessflows.integrations.scheduled_checks import (
    check_due,
    run_due_canaries,
    run_requested_checks,
)
from apono_portal.notifications.worker_tasks import fan_out, post_due
from audit.integrity.background_verification import LogVerifier
from audit.integrity.checkpoints import write_checkpoints
from audit.outbox.deliveries import deliver_due
from requests_app.grants.extension import carry_on_extensions
from requests_app.insights.daily_rollup import keep_figures
from requests_app.worker.loop import Worker


class Command(BaseCommand):
    help = (
        "Opens, ends and proves access. Run one or more, on any machines that reach the portal's "
        "database and the targets."
    )
    # The others read every page and template; `check --deploy` makes them.
    requires_system_checks = (Tags.models, Tags.security)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--threads", type=int, default=8, help="Threads for each urgency (default: 8)."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        worker = Worker(
            f"{socket.gethostname()[:30]}:{os.getpid()}",
            interval_s=settings.WORKER_INTERVAL_S,
            threads=options["threads"],
            chores=(
                write_checkpoints,
                fan_out,
                deliver_due,
                post_due,
                check_due,
                run_requested_checks,
                run_due_canaries,
                keep_figures,
                lambda now: carry_on_extensions(now=now),
                LogVerifier(),
            ),
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: worker.stop())
        worker.run()
