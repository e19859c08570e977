"""What is set, from where, and what is wrong, in sentences. Values of secrets are never shown."""

import importlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import django
from django.core import checks
from django.core.exceptions import ImproperlyConfigured

from apono_portal.configuration.environment import Environment
from apono_portal.configuration.registry import SETTINGS, Setting

SHOWN_LENGTH = 60


@dataclass
class Report:
    """Rows of name, value and source, what stops the portal, and what may be a mistake."""

    rows: list[tuple[str, str, str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def check_settings(*, show_all: bool = False) -> Report:
    """Check every setting, then the portal with them: its system checks and its database."""
    report = Report()
    try:
        environment = Environment.load()
    except ImproperlyConfigured as error:
        report.errors.append(str(error))
        return report
    for setting in SETTINGS.values():
        _check(environment, setting, report, show_all=show_all)
    report.warnings += [
        f"{name} in {os.environ['ENV_FILE']} is not a setting of the portal."
        for name in environment.unknown_names()
    ]
    if not report.errors:
        _check_portal(report)
    return report


def _check(environment: Environment, setting: Setting, report: Report, *, show_all: bool) -> None:
    source = environment.source(setting)
    try:
        environment.check(setting)
        value = "set, not shown" if setting.is_secret else environment.text(setting.name)
    except ImproperlyConfigured as error:
        report.errors.append(str(error))
        value = "cannot be used"
    if source == "default":
        value = setting.default or setting.default_text or "none"
    if show_all or source != "default":
        report.rows.append((setting.name, value[:SHOWN_LENGTH], source))


def _check_portal(report: Report) -> None:
    """Start the portal as its processes do, up to the first thing that fails."""
    steps: tuple[Callable[[], Iterator[str]], ...] = (_start, _system_checks, _database)
    for step in steps:
        report.errors += step()
        if report.errors:
            return
    report.warnings += [*_deployment_checks(), *_pending_migrations()]


def _start() -> Iterator[str]:
    try:
        importlib.import_module("apono_portal.settings")
        django.setup()
    except ImproperlyConfigured as error:
        yield str(error)


def _system_checks() -> Iterator[str]:
    try:
        messages = checks.run_checks(tags=[checks.Tags.security, checks.Tags.models])
    except ImproperlyConfigured as error:
        yield str(error)
        return
    yield from (it.msg for it in messages if it.level >= checks.ERROR)


def _deployment_checks() -> Iterator[str]:
    messages = checks.run_checks(tags=[checks.Tags.security], include_deployment_checks=True)
    yield from (" ".join(it.msg.split()) for it in messages if it.level >= checks.WARNING)


def _database() -> Iterator[str]:
    from django.db import DatabaseError, connection

    try:
        connection.ensure_connection()
    except DatabaseError as error:
        yield f"The database cannot be reached: {str(error).strip().splitlines()[0]}"


def _pending_migrations() -> Iterator[str]:
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    if plan := executor.migration_plan(executor.loader.graph.leaf_nodes()):
        yield f"{len(plan)} migrations are pending. Run `manage.py migrate`."
