"""Kinds of connectors: declarations, the document made from them, and libraries that are missing."""

from dataclasses import fields, replace
from pathlib import Path

import pytest

from accessflows.connectors.errors import TargetRefused
from accessflows.connectors.kinds import ConnectorKind
from accessflows.connectors.linux.setup_commands import host_program
from accessflows.connectors.promises_table import promises_table
from accessflows.connectors.protocol import SETTING, Target
from accessflows.connectors.registry import BUILT_IN, connector_for, kind_named
from accessflows.connectors.tls import encryption_check
from accessflows.integrations.forms import IntegrationForm

TARGETS = Path(__file__).parents[3] / "docs" / "targets.md"
every_kind = pytest.mark.parametrize("kind", [kind_named(name) for name in BUILT_IN], ids=BUILT_IN)


def test_the_document_says_what_the_declarations_say() -> None:
    assert promises_table() in TARGETS.read_text()


@every_kind
def test_a_form_asks_for_every_declared_setting(kind: ConnectorKind) -> None:
    form = IntegrationForm(kind=kind)
    for setting in fields(kind.settings):
        assert form.fields[setting.name].label == setting.metadata[SETTING].label
    assert ("host" in form.fields) == (not kind.uses_url)


@every_kind
def test_the_set_up_holds_the_brokers_name_and_ends_in_no_placeholder(kind: ConnectorKind) -> None:
    text = "\n".join(step.script for step in kind.set_up("apono_portal", "a-password"))
    assert kind.uses_url or "apono_portal" in text
    assert "{" not in text.replace(host_program(), "")


def test_a_missing_library_is_a_sentence() -> None:
    kind = replace(kind_named("valkey"), connector="no_such_library.connector:Connector")
    with pytest.raises(TargetRefused, match="extra “valkey” \\(pip install valkey\\)"):
        kind.load()


def test_an_unknown_kind_names_those_there_are() -> None:
    with pytest.raises(TargetRefused, match="postgresql, mariadb, valkey, linux, webhook"):
        connector_for("oracle")


@every_kind
def test_only_a_kind_that_negotiates_tls_offers_it_as_a_choice(kind: ConnectorKind) -> None:
    form = IntegrationForm(kind=kind)
    assert ("sslmode" in form.fields) == (kind.uses_tls and not kind.uses_url)
    if "sslmode" in form.fields:
        modes = [mode for mode, _ in form.fields["sslmode"].choices]  # type: ignore[attr-defined]
        assert ("prefer" in modes) == kind.negotiates_tls
        assert "verify-full" in modes


def test_only_a_verified_connection_passes_beyond_this_machine() -> None:
    target = Target("db.example", 1, "broker", "")
    passing = {
        mode
        for mode in ("disable", "prefer", "require", "verify-ca", "verify-full")
        if encryption_check(replace(target, sslmode=mode)).ok
    }
    assert passing == {"verify-full"}
    for host in ("127.0.0.1", "::1", "localhost"):
        assert encryption_check(replace(target, host=host, sslmode="disable")).ok
    for host in ("127.0.0.1.example", "localhost.example", "::10"):
        assert not encryption_check(replace(target, host=host, sslmode="disable")).ok
