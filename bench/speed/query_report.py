"""What pages ask the database: how many statements, and whether an index answers each.

`tests/operations/test_growth.py` checks small tables with sequential scans made expensive, the part
``pages`` large ones with the planner left to itself.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

MAX_STATEMENTS = 15
MAX_STATEMENTS_OF = {"new request": 18}  # it also offers favorites and recent requests
GROWING_TABLES = (
    "users_user", "users_user_groups", "otp_totp_totpdevice", "mfa_mfastate", "mfa_trustedbrowser",
    "mfa_verification", "requests_app_accessrequest", "requests_app_requestedtarget",
    "requests_app_grant", "requests_app_decision", "audit_event", "audit_chainentry",
    "audit_delivery", "django_session",
)  # fmt: skip
LONG_PAST = datetime.now(UTC).date() - timedelta(days=150)  # within the data set's history
MEMBER_PAGES = {"my access": "/", "my requests": "/requests/", "new request": "/requests/new/"}
ADMIN_PAGES = {
    "approvals": "/approvals/",
    "users": "/users/",
    "users with search": "/users/?q=pet+exa",
    "users, not enrolled": "/users/?mfa=not_set_up",
    "users, required and not enrolled": "/users/?mfa=required",
    "users, locked out": "/users/?status=locked_out",
    "active access": "/active-access/",
    "active access with filters": "/active-access/?requester=petra&ends=1h",
    "active access of an integration": "/active-access/?integration_id=1",
    "active access of a user": "/active-access/?user_id=1",
    "active access of a flow": "/active-access/?flow_id=1",
    "activity": "/activity/",
    "activity with filters": "/activity/?status=rejected&mfa=verified",
    "audit log": "/audit-log/",
    "audit log of an event": "/audit-log/?event=mfa:verify",
    "audit log of a request": "/audit-log/?request=AR-1010",
    "audit log with words": "/audit-log/?event=mfa:verify&text=pet",
    "audit log of an actor": "/audit-log/?actor=petra.nov",
    "audit log with words alone": "/audit-log/?text=AR-1010",
    "audit log of a day": f"/audit-log/?since={LONG_PAST}&until={LONG_PAST}",
    "audit log of days with words": f"/audit-log/?until={LONG_PAST}&text=petra",
}
PAGES = MEMBER_PAGES | ADMIN_PAGES
_SCAN = re.compile(rf"Seq Scan on ({'|'.join(GROWING_TABLES)})\b")
_READS = ("SELECT", "WITH", "(SELECT")
_TRANSACTIONS = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")


def statements_in(queries: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the statements of captured queries, those of transactions left out."""
    statements = (str(query["sql"]) for query in queries)
    return [statement for statement in statements if not statement.startswith(_TRANSACTIONS)]


def scans_of(cursor: Any, statements: Iterable[str]) -> dict[str, str]:
    """Return the growing tables that are read as a whole, each with a statement that does so."""
    scans: dict[str, str] = {}
    for statement in statements:
        if statement.startswith(_READS):
            cursor.execute(f"EXPLAIN {statement}")
            plan = "\n".join(line for (line,) in cursor.fetchall())
            scans |= dict.fromkeys(_SCAN.findall(plan), statement[:400])
    return scans


def report(session: str, pages: dict[str, str]) -> dict[str, Any]:
    """Return the number of statements and the scans of each page, asked for by one user."""
    client = Client(SERVER_NAME="127.0.0.1")
    client.cookies[settings.SESSION_COOKIE_NAME] = session
    results: dict[str, Any] = {}
    for name, url in pages.items():
        client.get(url)  # what a process asks once is not counted
        with CaptureQueriesContext(connection) as queries:
            response = client.get(url)
        if response.status_code != 200:
            raise SystemExit(f"The response to {url} is {response.status_code}.")
        statements = statements_in(queries)
        with connection.cursor() as cursor:
            scans = scans_of(cursor, statements)
        results[name] = {"statements": len(statements), "scans": scans}
    return results
