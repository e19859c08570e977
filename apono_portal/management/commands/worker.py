"""``manage.py worker``: provision, revoke and verify access on the targets until stopped."""

import os
import signal
import socket
from typing import Any

import structlog
from django.conf import settings
from django.core.checks import Tags
from django.core.management.base import BaseCommand, CommandParser

from accessflows.dual_control.services import expire_changes
from accessflows.integrations.scheduled_checks import (
    run_due_checks,
    run_requested_canaries,
    run_requested_checks,
)
from apono_portal.notifications.fan_out import fan_out
from apono_portal.notifications.webhook_delivery import deliver_webhooks
from apono_portal.retention import OldRowRemover
from audit.integrity.background_verification import LogVerifier
from audit.integrity.checkpoint_destinations import send_checkpoints
from audit.integrity.checkpoints import write_checkpoints
from audit.integrity.signed_checkpoints import CheckpointSigner
from audit.integrity.signing_keys import signing_key
from audit.outbox.deliveries import deliver_due
from audit.siem.stream import stream_events
from requests_app.grants.extension import retry_extensions
from requests_app.insights.daily_rollup import update_daily_figures
from requests_app.worker.loop import Worker

log = structlog.get_logger(__name__)


class Command(BaseCommand):
    help = (
        "Provision, revoke and verify access. Run one or more, on any machine that reaches the portal's "
        "database and the targets."
    )
    # The other checks load every page and template; `check --deploy` runs them.
    requires_system_checks = (Tags.models, Tags.security)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--threads", type=int, default=8, help="Threads per queue (default: 8)."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if signing_key() is None:
            log.warning(
                "no_signing_key", hint="Set AUDIT_SIGNING_KEY_FILE: see docs/operations.md."
            )
        worker = Worker(
            f"{socket.gethostname()[:30]}:{os.getpid()}",
            interval_s=settings.WORKER_INTERVAL_S,
            threads=options["threads"],
            max_silence=settings.WORKER_MAX_SILENCE,
            periodic_tasks=(
                write_checkpoints,
                CheckpointSigner(),
                send_checkpoints,
                stream_events,
                fan_out,
                deliver_due,
                deliver_webhooks,
                run_due_checks,
                run_requested_checks,
                run_requested_canaries,
                update_daily_figures,
                lambda now: retry_extensions(now=now),
                lambda now: expire_changes(now=now),
                LogVerifier(),
                OldRowRemover(),
            ),
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: worker.stop())
        worker.run()
