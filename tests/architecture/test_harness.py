"""The test set-up works: triggers are active, undefined template variables fail."""

import pytest
from django.contrib.auth import get_user_model
from django.db import DatabaseError, connection, transaction
from django.template import engines

from audit.events import EventName
from audit.models import Event
from audit.services import record
from tests.architecture.sources import ROOT
from tests.fixtures.missing import skip_unless_ci
from tests.run import NOT_REPEATED
from tests.undefined import UndefinedInTemplate


@pytest.mark.django_db
def test_triggers_are_active_inside_tests():
    record(event=EventName.SESSION_SIGN_IN, actor=None)
    for write in (lambda: Event.objects.update(actor_label="x"), Event.objects.all().delete):
        with pytest.raises(DatabaseError, match="cannot be changed"), transaction.atomic():
            write()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("turn", ["before a flush", "after a flush"])
def test_triggers_are_active_after_a_flush(turn):
    record(event=EventName.SESSION_SIGN_IN, actor=None)
    assert Event.objects.count() == 1
    with pytest.raises(DatabaseError, match="cannot be changed"):
        Event.objects.all().delete()


@pytest.mark.django_db(transaction=True)
def test_the_log_is_empty_after_a_flush():
    assert Event.objects.count() == 0
    assert get_user_model().objects.count() == 0


@pytest.mark.django_db
def test_the_sqlite_database_is_a_file():
    if connection.vendor == "sqlite":
        assert str(connection.settings_dict["NAME"]).endswith("portal.sqlite3")


def test_an_undefined_variable_in_our_templates_fails():
    with pytest.raises(UndefinedInTemplate, match="title"):
        engines["django"].get_template("components/empty.html").render({})


def test_a_default_may_stand_in_for_an_undefined_variable():
    assert "System" in engines["django"].from_string('{{ missing|default:"System" }}System').render(
        {}
    )


def test_what_is_missing_fails_in_ci(monkeypatch):
    monkeypatch.setenv("CI", "1")
    with pytest.raises(pytest.fail.Exception, match="no such program"):
        skip_unless_ci("no such program")
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception):
        skip_unless_ci("no such program")


def test_folders_that_decide_what_is_repeated_exist():
    tests = [path.relative_to(ROOT / "tests").as_posix() for path in ROOT.glob("tests/**/*.py")]
    for prefix in NOT_REPEATED:
        assert any(path.startswith(prefix) for path in tests), prefix
