"""What every test may use: people who are signed in, and a database that can be emptied."""

import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection, connections
from django.db.backends.base.operations import BaseDatabaseOperations
from django.http import HttpRequest
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoDbBlocker

from apono_portal.users.models import Role, User
from audit.integrity import triggers
from tests.fixtures.linux import linux_host, linux_subject  # noqa: F401
from tests.fixtures.mariadb import mariadb_server, mariadb_subject  # noqa: F401
from tests.fixtures.valkey import valkey_server, valkey_subject  # noqa: F401

pytest_plugins = ["tests.fixtures.postgres", "tests.fixtures.sso"]

BACKEND = "apono_portal.users.backends.EmailBackend"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database-only", action="store_true", help="leave out tests that use no database"
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("database_only"):
        config.hook.pytest_deselected(items=[item for item in items if not _needs_database(item)])
        items[:] = [item for item in items if _needs_database(item)]


def pytest_collection_finish() -> None:
    """Collect garbage seldom: modules and tests stay, and an eighth of the time went into looking."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _needs_database(item: pytest.Item) -> bool:
    """Whether it asks for one by mark or fixture; a stack brings one of its own."""
    fixtures = set(getattr(item, "fixturenames", ()))
    with_database = {"db", "transactional_db", "django_db_setup", "live_server", "stack"}
    return item.get_closest_marker("django_db") is not None or bool(fixtures & with_database)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    tmp_path_factory: pytest.TempPathFactory, django_db_modify_db_settings_parallel_suffix: None
) -> None:
    """On SQLite use a file: a live server's threads and other processes must see the same rows."""
    settings = connections.settings["default"]
    if settings["ENGINE"] == "django.db.backends.sqlite3":
        settings["TEST"]["NAME"] = str(tmp_path_factory.mktemp("database") / "portal.sqlite3")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Let the flush after a transactional test, and nothing else, past the audit log's triggers."""
    flush = BaseDatabaseOperations.execute_sql_flush

    def flush_past_the_triggers(self: BaseDatabaseOperations, sql_list: list[str]) -> None:
        triggers.run(self.connection, triggers.remove_sql(self.connection.vendor))
        try:
            flush(self, sql_list)
        finally:
            triggers.run(self.connection, triggers.install_sql(self.connection.vendor))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseDatabaseOperations, "execute_sql_flush", flush_past_the_triggers)
        yield
    with django_db_blocker.unblock():
        _end_other_sessions()


def _end_other_sessions() -> None:
    """Close what threads of tests left open: PostgreSQL drops no database that is in use."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


@pytest.fixture
def signed_in() -> Callable[[User], Client]:
    """``signed_in(user)`` is a browser session of that person."""

    def sign_in(user: User) -> Client:
        client = Client()
        client.force_login(user, backend=BACKEND)
        return client

    return sign_in


def _person(name: str, role: Role) -> Any:
    return get_user_model().objects.create_user(
        email=f"{name.split()[0].lower()}@example.org", name=name, password="x" * 16, role=role
    )


@pytest.fixture
def admin_user(db: None) -> User:
    return _person("Ada Admin", Role.ADMIN)


@pytest.fixture
def auditor_user(db: None) -> User:
    return _person("Audrey Auditor", Role.AUDITOR)


@pytest.fixture
def member_user(db: None) -> User:
    return _person("Max Member", Role.MEMBER)


@pytest.fixture
def admin_client(admin_user: User, verified: Callable[[User], Client]) -> Client:
    """An admin who has verified: without MFA an admin changes nothing."""
    return verified(admin_user)


@pytest.fixture
def auditor_client(auditor_user: User, signed_in: Callable[[User], Client]) -> Client:
    return signed_in(auditor_user)


@pytest.fixture
def member_client(member_user: User, signed_in: Callable[[User], Client]) -> Client:
    return signed_in(member_user)


@pytest.fixture
def questions_of() -> Callable[[Client, str], int]:
    """``questions_of(client, address)`` is how often a page asks the database."""

    def count(client: Client, address: str) -> int:
        with CaptureQueriesContext(connections["default"]) as queries:
            assert client.get(address).status_code == 200
        return len(queries)

    return count


@pytest.fixture
def verified(signed_in: Callable[[User], Client]) -> Callable[[User], Client]:
    """``verified(user)``: a person with MFA who has just entered a right code in this browser."""

    def browser(user: User) -> Client:
        from tests.factories import VerificationFactory

        success = VerificationFactory(user=user)
        fresh = User.objects.select_related("mfa_state").get(pk=user.pk)
        client = signed_in(fresh)
        open_window_in(client, fresh, success)
        return client

    return browser


def open_window_in(client: Client, user: User, success: Any) -> None:
    """Open the window of the client's session, as the page of the code does."""
    from mfa.verification.window import open_window

    request = HttpRequest()
    request.user, request.session = user, client.session
    open_window(request, success)
    request.session.save()
    client.cookies[settings.SESSION_COOKIE_NAME] = request.session.session_key
