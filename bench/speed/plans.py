"""What a page asks the database, and whether an index answers each of its questions.

`tests/operations/test_growth.py` looks at small tables with sequential scans made dear, the part
``pages`` at the largest with the planner left to itself.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

MOST_QUESTIONS = 15
GROWING = (
    "users_user",
    "users_user_groups",
    "otp_totp_totpdevice",
    "mfa_mfastate",
    "mfa_knownbrowser",
    "mfa_verification",
    "requests_app_accessrequest",
    "requests_app_requestedtarget",
    "requests_app_grant",
    "requests_app_decision",
    "audit_event",
    "audit_chainentry",
    "audit_delivery",
    "django_session",
)
PAGES = {
    "my access": "/",
    "my requests": "/requests/",
    "new request": "/requests/new/",
    "approvals": "/approvals/",
    "users": "/users/",
    "users with search": "/users/?q=pet+exa",
    "users, not set up": "/users/?mfa=not_set_up",
    "users, needed and not set up": "/users/?mfa=required",
    "users, held off": "/users/?status=locked_out",
    "activity": "/activity/",
    "activity with filters": "/activity/?status=rejected&mfa=verified",
    "audit log": "/audit-log/",
    "audit log of an event": "/audit-log/?event=mfa:verify",
    "audit log of a request": "/audit-log/?request=AR-1010",
    "audit log with words": "/audit-log/?event=mfa:verify&text=pet",
    "audit log of an actor": "/audit-log/?actor=petra.nov",
    "audit log with words alone": "/audit-log/?text=AR-1010",
}
_SCAN = re.compile(rf"Seq Scan on ({'|'.join(GROWING)})\b")
_READS = ("SELECT", "WITH", "(SELECT")
_FRAME = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")


def questions_in(asked: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the statements of captured queries, those that only frame others left out."""
    found = [str(query["sql"]) for query in asked]
    return [each for each in found if not each.startswith(_FRAME)]


def scans_of(cursor: Any, questions: Iterable[str]) -> dict[str, str]:
    """Return the growing tables that are read from one end to the other, each with a question that
    does so."""
    scans: dict[str, str] = {}
    for question in questions:
        if question.startswith(_READS):
            cursor.execute(f"EXPLAIN {question}")
            plan = "\n".join(line for (line,) in cursor.fetchall())
            scans |= dict.fromkeys(_SCAN.findall(plan), question[:400])
    return scans
