"""What every connector must do, on a real target of each kind. docs/connectors.md refers to it."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from accessflows.connectors.errors import (
    ClockSkew,
    ConnectorError,
    TargetMismatch,
    TargetRefused,
    TargetUnavailable,
)
from accessflows.connectors.protocol import Connector, Credential, GrantIdentity, GrantSpec
from accessflows.connectors.registry import kind_named
from tests.fixtures.subjects import PORTAL, Session, Subject

REFUSALS = (TargetMismatch, TargetRefused)


@pytest.fixture
def spec(subject: Subject) -> GrantSpec:
    return subject.spec()


@pytest.fixture
def identity(connector: Connector, subject: Subject, spec: GrantSpec) -> GrantIdentity:
    return connector.activate(subject.target, spec).identity


@pytest.fixture
def credential(
    connector: Connector, subject: Subject, spec: GrantSpec, identity: GrantIdentity
) -> Credential:
    return connector.issue_credential(subject.target, spec, identity)


def test_it_offers_the_permission_and_passes_its_checks(
    connector: Connector, subject: Subject
) -> None:
    inventory = connector.discover(subject.target)
    offered = {one.name: one for one in inventory.permissions}
    assert subject.resource in inventory.resources
    assert subject.resource in offered[subject.permission].resources
    assert offered[subject.permission].refusal == ""
    assert 0 < len(inventory.server_id) <= 32
    connector.check_permission(subject.target, subject.permission)
    assert connector.describe_rights(subject.target, subject.resource, [subject.permission])
    failed = [one for one in connector.preflight(subject.target) if not one.ok]
    assert {one.name for one in failed} <= {
        "Prepared transactions"
    }  # the server of the tests has some


def test_an_unknown_permission_is_refused(connector: Connector, subject: Subject) -> None:
    with pytest.raises(TargetRefused):
        connector.check_permission(subject.target, "no_such_permission")
    spec = subject.spec(permission="no_such_permission")
    with pytest.raises(TargetRefused):
        connector.activate(subject.target, spec)
    assert not subject.exists(spec.login)


def test_nobody_can_sign_in_before_the_credential_is_revealed(
    connector: Connector, subject: Subject, spec: GrantSpec, identity: GrantIdentity
) -> None:
    assert identity.name == spec.login
    assert subject.exists(identity.name)
    for password in ("", identity.name):
        guess = Credential(
            subject.target.host, subject.target.port, spec.resource, identity.name, password
        )
        assert not subject.can_sign_in(guess)


def test_an_activation_whose_answer_was_lost_is_adopted(
    connector: Connector, subject: Subject, spec: GrantSpec, identity: GrantIdentity
) -> None:
    assert connector.locate(subject.target, spec) == identity
    again = connector.activate(subject.target, spec)
    assert (again.identity, again.already_existed) == (identity, True)
    assert connector.locate(subject.target, subject.spec()) is None


def test_a_revealed_credential_works_until_it_is_reset(
    connector: Connector,
    subject: Subject,
    spec: GrantSpec,
    identity: GrantIdentity,
    credential: Credential,
) -> None:
    session = subject.open_session(credential)
    assert session.works()
    fresh = connector.reset_credential(subject.target, spec, identity, terminate_sessions=True)
    assert subject.can_sign_in(fresh)
    assert not subject.can_sign_in(credential)
    assert not session.works()
    assert credential.password not in repr(credential)


def test_an_extension_is_what_the_target_knows_afterwards(
    connector: Connector, subject: Subject, spec: GrantSpec, identity: GrantIdentity
) -> None:
    later = replace(spec, deadline=spec.deadline + timedelta(minutes=5))
    enforced = connector.extend(subject.target, later, identity, since=None)
    assert spec.deadline < enforced <= later.deadline
    [account] = connector.list_managed_accounts(subject.target, PORTAL, [identity]).accounts
    assert account.deadline is not None
    assert abs(account.deadline - later.deadline) < timedelta(seconds=2)
    assert connector.extend(subject.target, later, identity, since=None) >= enforced


def test_containment_ends_an_open_session(
    connector: Connector,
    subject: Subject,
    spec: GrantSpec,
    identity: GrantIdentity,
    credential: Credential,
) -> None:
    session = subject.open_session(credential)
    assert session.works()
    containment = connector.contain(subject.target, identity)
    assert not session.works()
    assert not subject.can_sign_in(credential)
    assert containment.sessions_terminated == (1 if subject.has_sessions else 0)
    assert connector.contain(subject.target, identity).sessions_terminated == 0
    with pytest.raises(TargetRefused):
        connector.issue_credential(subject.target, spec, identity)
    with pytest.raises(TargetRefused):
        connector.extend(subject.target, spec, identity, since=None)
    with pytest.raises(TargetRefused):
        connector.activate(subject.target, spec)
    assert not subject.can_sign_in(credential)


def test_a_grantee_that_keeps_signing_in_is_out_after_containment(
    connector: Connector, subject: Subject, identity: GrantIdentity, credential: Credential
) -> None:
    if not subject.has_sessions:
        pytest.skip("It keeps no sessions.")
    stop = threading.Event()

    def keep_signing_in() -> None:
        while not stop.is_set():
            with suppress(Exception):
                subject.open_session(credential).works()

    grantee = threading.Thread(target=keep_signing_in)
    grantee.start()
    try:
        time.sleep(0.1)
        connector.contain(subject.target, identity)
        time.sleep(0.2)
    finally:
        stop.set()
        grantee.join()
    assert subject.sessions
    assert not any(session.works() for session in subject.sessions)
    assert not subject.can_sign_in(credential)


def test_two_workers_contain_at_once(
    connector: Connector, subject: Subject, identity: GrantIdentity, credential: Credential
) -> None:
    sessions = [subject.open_session(credential) for _ in range(2)]
    with ThreadPoolExecutor(4) as pool:
        tasks = [pool.submit(connector.contain, subject.target, identity) for _ in range(4)]
        for task in tasks:
            task.result()
    assert not any(session.works() for session in sessions)
    assert not subject.can_sign_in(credential)


def test_cleaning_removes_the_account_and_the_proof_holds(
    connector: Connector, subject: Subject, identity: GrantIdentity, credential: Credential
) -> None:
    subject.open_session(credential)
    assert not connector.prove(subject.target, identity).holds
    with pytest.raises(TargetRefused):
        connector.clean(subject.target, identity)
    connector.contain(subject.target, identity)
    assert not connector.prove(subject.target, identity).holds
    assert connector.find_owned_objects(subject.target, identity).items == ()
    connector.clean(subject.target, identity)
    assert connector.clean(subject.target, identity).was_absent
    proof = connector.prove(subject.target, identity)
    assert proof.holds
    assert not subject.exists(identity.name)
    assert connector.contain(subject.target, identity).was_absent


def test_a_proof_claims_no_more_than_the_kind_promises(
    kind: str, connector: Connector, subject: Subject, identity: GrantIdentity
) -> None:
    connector.contain(subject.target, identity)
    connector.clean(subject.target, identity)
    proof = connector.prove(subject.target, identity)
    seen = kind_named(kind).promises.leftovers.keeper
    assert (proof.nothing_left_behind is None) == (seen in {"nobody", "partly"})
    assert bool(proof.left_behind_note) == (proof.nothing_left_behind is None)


def test_only_the_grants_account_is_listed_beside_a_strangers(
    kind: str, connector: Connector, subject: Subject, identity: GrantIdentity
) -> None:
    if kind == "webhook":
        pytest.skip("A receiver lists only grants.")
    works = subject.add_stranger("jit_stranger")
    try:
        listing = connector.list_managed_accounts(subject.target, PORTAL, [identity])
        others = connector.list_managed_accounts(subject.target, "other-portal", [])
        assert works()
    finally:
        subject.remove_stranger("jit_stranger")
    [account] = listing.accounts
    assert account.identity == identity
    assert account.portal_id == PORTAL
    assert [one.name for one in account.memberships] == [subject.permission]
    assert not account.can_login
    assert others.accounts == ()


def test_lists_page_by_name(connector: Connector, subject: Subject) -> None:
    specs = [subject.spec() for _ in range(3)]
    identities = [connector.activate(subject.target, spec).identity for spec in specs]
    names = sorted(one.name for one in identities)
    listing = connector.list_managed_accounts(
        subject.target, PORTAL, identities, after=names[0], up_to=names[1]
    )
    listed = {one.name for one in listing.accounts}
    assert names[1] in listed
    assert listing.up_to is None or listed == {names[1]}


def test_a_strangers_account_of_the_same_name_is_not_adopted(
    kind: str, connector: Connector, subject: Subject
) -> None:
    if kind == "webhook":
        pytest.skip("A receiver has no other accounts.")
    spec = subject.spec()
    works = subject.add_stranger(spec.login)
    try:
        with pytest.raises(TargetMismatch):
            connector.activate(subject.target, spec)
        with pytest.raises(TargetMismatch):
            connector.locate(subject.target, spec)
        assert works()
    finally:
        subject.remove_stranger(spec.login)


def test_another_server_is_not_touched(
    connector: Connector, subject: Subject, identity: GrantIdentity, credential: Credential
) -> None:
    elsewhere = replace(identity, server_id="another")
    for step in (
        lambda: connector.contain(subject.target, elsewhere),
        lambda: connector.clean(subject.target, elsewhere),
        lambda: connector.activate(subject.target, subject.spec(server_id="another")),
    ):
        with pytest.raises(REFUSALS):
            step()
    assert subject.can_sign_in(credential)


def test_one_failure_does_not_stop_the_others(
    connector: Connector, subject: Subject, identity: GrantIdentity
) -> None:
    elsewhere = replace(identity, server_id="another")
    results = connector.contain_many(subject.target, [elsewhere, identity])
    assert isinstance(results[elsewhere], REFUSALS)
    assert not isinstance(results[identity], ConnectorError)
    connector.clean(subject.target, identity)
    proofs = connector.prove_many(subject.target, [elsewhere, identity])
    assert isinstance(proofs[elsewhere], REFUSALS)
    assert not isinstance(proofs[identity], ConnectorError)


def test_a_target_that_is_down_is_unavailable_at_every_step(
    connector: Connector, subject: Subject
) -> None:
    spec, target = subject.spec(), subject.down()
    identity = GrantIdentity(spec.login, "1", "server")
    for step in (
        lambda: connector.discover(target),
        lambda: connector.activate(target, spec),
        lambda: connector.locate(target, spec),
        lambda: connector.issue_credential(target, spec, identity),
        lambda: connector.extend(target, spec, identity, since=None),
        lambda: connector.clean(target, identity),
        lambda: connector.list_managed_accounts(target, PORTAL, [identity]),
    ):
        with pytest.raises(TargetUnavailable):
            step()
    with suppress(TargetUnavailable):
        assert any(not one.ok for one in connector.preflight(target))
    for many in (connector.contain_many, connector.prove_many):
        try:
            outcome = many(target, [identity])[identity]
        except ConnectorError as error:
            outcome = error
        assert isinstance(outcome, TargetUnavailable)


def test_an_expired_grant_is_not_activated(connector: Connector, subject: Subject) -> None:
    spec = subject.spec(deadline=datetime.now(UTC) - timedelta(seconds=1))
    with pytest.raises(TargetRefused):
        connector.activate(subject.target, spec)
    assert not subject.exists(spec.login)


def test_clocks_that_differ_too_much_are_refused(
    kind: str, connector: Connector, subject: Subject
) -> None:
    if kind == "example-file":
        pytest.skip("A file has the portal's clock.")
    spec = subject.spec(deadline=datetime.now(UTC) + timedelta(hours=2))
    with (
        time_machine.travel(datetime.now(UTC) + timedelta(minutes=5), tick=True),
        pytest.raises((ClockSkew, TargetRefused)),
    ):
        connector.activate(subject.target, spec)


def session_about_to_end(
    connector: Connector, subject: Subject
) -> tuple[GrantSpec, GrantIdentity, Session]:
    """Open a session that ends soon: as soon as a busy machine allows."""
    for seconds in (1.2, 5, 15):
        spec = subject.spec(deadline=datetime.now(UTC) + timedelta(seconds=seconds))
        with suppress(TargetRefused):
            identity = connector.activate(subject.target, spec).identity
            credential = connector.issue_credential(subject.target, spec, identity)
            session = subject.open_session(credential)
            if session.works():
                time.sleep(max((spec.deadline - datetime.now(UTC)).total_seconds() - 1.5, 0))
                return spec, identity, session
    raise AssertionError("The machine is too busy.")


def test_sessions_are_terminated_at_the_end_itself(
    kind: str, connector: Connector, subject: Subject
) -> None:
    if not subject.has_sessions:
        pytest.skip("It keeps no sessions.")
    spec, identity, session = session_about_to_end(connector, subject)
    unexpired = subject.spec()
    other = connector.activate(subject.target, unexpired).identity
    numbers = connector.terminate_sessions_at(subject.target, [identity, other], spec.deadline)
    assert numbers == {identity: 1}
    assert not session.works()


def test_how_to_connect_is_shown_without_the_password(
    connector: Connector, subject: Subject, spec: GrantSpec
) -> None:
    shown = Credential("db.example", 1234, spec.resource, "jit_x", "the-secret")
    lines = connector.connection_lines(subject.target, spec, shown)
    assert all("the-secret" not in line.text for line in lines)
    assert all("jit_x" in line.text for line in lines if not line.file_name)


def test_the_canary_passes_and_leaves_nothing(connector: Connector, subject: Subject) -> None:
    steps = list(
        connector.canary(subject.target, subject.resource, subject.permission, portal_id=PORTAL)
    )
    assert [step.sentence for step in steps if not step.ok] == []
    assert connector.list_managed_accounts(subject.target, PORTAL, []).accounts == ()
