"""A portal of its own with one worker, for one version of PostgreSQL."""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

from bench.attack.grantee import target
from bench.chaos.environment import running_environment

if TYPE_CHECKING:
    from bench.attack.grantee.chapter import Chapter


@contextmanager
def running_chapter(version: int) -> Iterator["Chapter"]:
    """Start servers, portal and worker. Sets Django up, so once in a process."""
    started = time.monotonic()
    settings = target.SETTINGS | (target.NEWER if version >= 16 else {})
    with running_environment(version, settings) as environment:
        os.environ.update(environment.workers.environment)
        import django

        django.setup()
        from accessflows.connectors import idle_pool
        from bench.attack.grantee.chapter import Chapter, GranteePortal

        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
        idle_pool.connections.is_enabled = True  # credentials are revealed sooner
        target.prepare(environment)
        portal = GranteePortal(environment)
        environment.ensure_workers(1)
        try:
            yield Chapter(
                environment, portal,
                lambda text: print(f"{time.monotonic() - started:6.1f} s  PostgreSQL {version}: {text}", flush=True),
            )  # fmt: skip
        finally:
            idle_pool.connections.stop()
