"""A restored server gives OIDs again: another role with a grant's OID is neither touched nor blamed."""

import uuid
from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest

from accessflows.connectors.errors import TargetMismatch
from accessflows.connectors.protocol import GrantIdentity, login_of
from accessflows.connectors.registry import connector_for
from tests.accessflows.connectors.conftest import Grant, MakeGrant
from tests.accessflows.connectors.postgresql.test_containment import is_dead
from tests.fixtures.postgres import PgTarget

postgresql = connector_for("postgresql")


@pytest.fixture
def account(pg_target: PgTarget) -> Iterator[GrantIdentity]:
    """The identity of a grant from before the restore, whose OID is now that of an account."""
    pg_target.ask("CREATE ROLE alice LOGIN PASSWORD 'alice'")
    pg_target.ask("GRANT CONNECT ON DATABASE orders TO alice")
    [(oid,)] = pg_target.ask("SELECT oid::bigint FROM pg_roles WHERE rolname = 'alice'")
    [(server,)] = pg_target.ask("SELECT system_identifier::text FROM pg_control_system()")
    yield GrantIdentity(login_of(uuid.uuid4()), str(oid), server)
    pg_target.ask("DROP OWNED BY alice; DROP ROLE alice")


def sign_in(pg: PgTarget) -> psycopg.Connection[object]:
    return pg.admin("orders", user="alice", password="alice")


def test_account_with_the_oid_is_not_touched_and_the_grant_is_proven(
    pg_target: PgTarget, account: GrantIdentity
) -> None:
    with sign_in(pg_target) as session:
        assert postgresql.contain(pg_target.target, account).was_absent
        assert postgresql.find_owned_objects(pg_target.target, account).items == ()
        assert postgresql.clean(pg_target.target, account).was_absent
        proof = postgresql.prove(pg_target.target, account)
        assert not is_dead(session)
    assert proof.holds
    assert proof.details["oid_reused_by"] == "alice"
    sign_in(pg_target).close()


def test_account_with_the_oid_is_not_listed_as_the_login(
    pg_target: PgTarget, account: GrantIdentity
) -> None:
    listing = postgresql.list_managed_accounts(pg_target.target, "test-portal", [account])
    assert account.mark not in {role.identity.mark for role in listing.accounts}


def test_login_of_a_newer_grant_with_the_oid_stays(grant: Grant) -> None:
    older = replace(grant.identity, name=login_of(uuid.uuid4()))
    with grant.log_in() as session:
        assert postgresql.contain(grant.pg.target, older).was_absent
        assert postgresql.prove(grant.pg.target, older).holds
        assert not is_dead(session)
    assert grant.can_log_in()


def test_renamed_login_without_its_comment_is_still_contained(make_grant: MakeGrant) -> None:
    """Its expiry is the portal's, to the microsecond."""
    grant = make_grant()
    session = grant.log_in()
    grant.pg.ask(f"ALTER ROLE {grant.role} RENAME TO jit_alice; COMMENT ON ROLE jit_alice IS NULL")
    try:
        grant.contain()
        assert is_dead(session)
        assert not postgresql.prove(grant.pg.target, grant.identity).holds
        with pytest.raises(TargetMismatch, match=f"rename it to {grant.role}"):
            grant.clean()
    finally:
        grant.pg.ask("DROP ROLE jit_alice")
