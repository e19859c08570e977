"""Somebody who can read and write the portal's database, and has no key of the portal.

Requests, verifications, decisions and grants are inserted, edited and copied, their MACs in place. What a
worker makes of it shows on the target; what a page makes of it, on the page.
"""

from collections.abc import Callable
from typing import Any

import psycopg

from bench.attack.attacks.races import activate
from bench.attack.campaign import Campaign, attack
from bench.attack.client import SECURITY, Client
from bench.attack.scoring import Score
from bench.environment import InvalidRun, connect, wait_until

SETTLED = {"Failed", "Cancelled", "Pending MFA", "Pending Approval", "Lapsed", "Expired", "Revoked"}
GENUINE = "(SELECT max(id) FROM mfa_verification WHERE user_id = %(owner)s AND outcome = 'ok')"
_GRANTED = "status = 'granting', pending_until = now() + interval '1 hour'"
_VERIFIED = f"verification_id = {GENUINE}, verified_at = now(), verified_method = 'code'"

# On %(pending)s, a thief's request of a protected flow without a verification, with the help of %(active)s and
# of other rows of %(owner)s. Each is one attempt.
EDITS = (
    f"UPDATE requests_app_accessrequest SET {_GRANTED} WHERE id = %(pending)s",
    f"UPDATE requests_app_accessrequest SET {_GRANTED}, require_mfa = false WHERE id = %(pending)s",
    f"UPDATE requests_app_accessrequest SET {_GRANTED}, {_VERIFIED} WHERE id = %(pending)s",
    (f"UPDATE requests_app_accessrequest SET {_GRANTED}, {_VERIFIED}, mac = (SELECT mac FROM"
    " requests_app_accessrequest WHERE id = %(active)s) WHERE id = %(pending)s"),
    f"UPDATE requests_app_accessrequest SET {_GRANTED}, {_VERIFIED}, requester_id = %(owner)s WHERE id = %(pending)s",
    ("WITH copy AS (INSERT INTO mfa_verification SELECT (jsonb_populate_record(genuine, jsonb_build_object("
    "'user_id', %(thief)s::bigint, 'id', nextval(pg_get_serial_sequence('mfa_verification', 'id'))))).*"
    f" FROM mfa_verification genuine WHERE id = {GENUINE} RETURNING id)"
    f" UPDATE requests_app_accessrequest SET {_GRANTED}, verification_id = (SELECT id FROM copy), verified_at = now()"
    " WHERE id = %(pending)s"),
    f"UPDATE mfa_verification SET user_id = %(thief)s, at = now() WHERE id = {GENUINE}",
    # The rightful request names another target, with its MAC.
    ("UPDATE requests_app_requestedtarget SET resource = 'ledger', permission = 'ledger_reader'"
    " WHERE request_id = %(active)s;"
    " UPDATE requests_app_grant SET resource = 'ledger', permission = 'ledger_reader', state = 'activating',"
    " login_mark = '', next_attempt_at = now(), attempts = 0 WHERE request_id = %(active)s"),
    # The grant of a rightful request becomes the thief's.
    (f"UPDATE requests_app_accessrequest SET {_GRANTED}, {_VERIFIED} WHERE id = %(pending)s;"
    " UPDATE requests_app_grant SET request_id = %(pending)s, resource = 'ledger', permission = 'ledger_reader',"
    " state = 'activating', login_mark = '', next_attempt_at = now() WHERE request_id = %(active)s"),
)  # fmt: skip


@attack("writing to the database", share=0.0001)
def edit_rows(campaign: Campaign, score: Score, budget: int) -> None:
    for statement in EDITS:
        owner, thief = (
            campaign.verified(campaign.next_owner()),
            campaign.signed_in(campaign.next_victim()),
        )
        active = activate(owner, "orders")
        thief.request_access("ledger")
        pending = thief.newest_request()
        rows = {
            "owner": owner.person.id, "thief": thief.person.id,
            "active": int(active), "pending": int(pending),
        }  # fmt: skip
        score.add_attempts()
        _execute(campaign, statement, rows)
        wait_until(lambda t=thief, n=pending: t.status_of(n) in SETTLED, timeout_s=5)
        if thief.reveal(pending):
            score.add_success(f"a credential came of: {statement}")
        campaign.judge.check_target(score)
        owner.end(active)


@attack("taking over others' rows and sessions", share=0.0001)
def take_over(campaign: Campaign, score: Score, budget: int) -> None:
    """A user with an open window makes somebody else's access theirs, or becomes somebody else."""
    owner, thief = (
        campaign.verified(campaign.next_owner()),
        campaign.verified(campaign.next_owner()),
    )
    active = activate(owner, "orders")
    _execute(campaign, "UPDATE requests_app_accessrequest SET requester_id = %(thief)s WHERE id = %(active)s",
             {"thief": thief.person.id, "active": int(active)})  # fmt: skip
    score.add_attempts()
    if thief.reveal(active):
        score.add_success("a credential of another user's request was revealed")
    owner.end(active)
    _take_over_sessions(campaign, score)


def _take_over_sessions(campaign: Campaign, score: Score) -> None:
    """Use what the table of sessions has: a key as a cookie, and one user's content under another key."""
    thief, own_key = _with_session_key(campaign, lambda: campaign.signed_in(campaign.next_victim()))
    owner, key = _with_session_key(campaign, lambda: campaign.verified(campaign.next_owner()))
    score.add_attempts(2)
    stolen = thief.twin()
    stolen.browser.cookies["session"] = key
    if stolen.is_signed_in():
        score.add_success("a session's key in the database signs in")
    copy = (
        "UPDATE django_session SET session_data = (SELECT session_data FROM django_session"
        " WHERE session_key = %(key)s) WHERE session_key = %(own)s"
    )
    _execute(campaign, copy, {"key": key, "own": own_key})
    if owner.person.email in thief.browser.get(SECURITY).text:
        score.add_success("a session's content under another key signs in")


def _with_session_key(campaign: Campaign, sign_in: Callable[[], Client]) -> tuple[Client, str]:
    """Sign somebody in, and return the key of the row that is new, once it is the only one."""
    query = "SELECT session_key FROM django_session"
    for _ in range(10):
        before = set(_execute(campaign, query, {}))
        client = sign_in()
        added = set(_execute(campaign, query, {})) - before
        if len(added) == 1:
            [[key]] = added
            return client, str(key)
    raise InvalidRun("Others signed in at the same time, again and again.")


def _execute(campaign: Campaign, statement: str, rows: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Run a statement as the portal's own account. A constraint may refuse it, too."""
    with connect(campaign.portal.servers.portal, campaign.portal.database) as connection:
        try:
            cursor = psycopg.ClientCursor(connection).execute(statement, rows or None)
            return cursor.fetchall() if cursor.description else []
        except psycopg.errors.CheckViolation:
            return []
