"""Audit events as OCSF 1.6 (https://schema.ocsf.io): one table, and one type for every field.

The whole event as it is hashed is in ``unmapped.record``, as text, with its position and hashes in the chain
beside it. So whoever keeps the stream can verify it against signed checkpoints.
"""

import json
from typing import Any, NamedTuple

from apono_portal.core.formatting.datetimes import person
from audit.events import WARNINGS, EventName
from audit.models import ChainEntry, Event
from audit.verify_export.formats import Record

OCSF_VERSION = "1.6.0"
CATEGORY_IAM = 3
OTHER = 99
ACCOUNT_CHANGE, AUTHENTICATION, ENTITY, ACCESS, GROUP = 3001, 3002, 3004, 3005, 3006
SUCCESS, FAILURE = 1, 2
INFORMATIONAL, MEDIUM, CRITICAL = 1, 3, 5


class OcsfType(NamedTuple):
    """A class of OCSF and an activity of it."""

    class_uid: int
    activity_id: int


# What is not listed is "Other" of the class of its subject.
CLASS_OF_SUBJECT = {
    "session": AUTHENTICATION,
    "mfa": AUTHENTICATION,
    "user": ACCOUNT_CHANGE,
    "group": GROUP,
}
TYPES = {
    EventName.SESSION_SIGN_IN: OcsfType(AUTHENTICATION, 1),
    EventName.SESSION_SIGN_IN_FAIL: OcsfType(AUTHENTICATION, 1),
    EventName.SESSION_SIGN_OUT: OcsfType(AUTHENTICATION, 2),
    EventName.SESSION_END: OcsfType(AUTHENTICATION, 2),
    EventName.SESSION_LOCK_OUT: OcsfType(ACCOUNT_CHANGE, 9),
    EventName.USER_CREATE: OcsfType(ACCOUNT_CHANGE, 1),
    EventName.USER_REACTIVATE: OcsfType(ACCOUNT_CHANGE, 2),
    EventName.USER_CHANGE_PASSWORD: OcsfType(ACCOUNT_CHANGE, 3),
    EventName.USER_DEACTIVATE: OcsfType(ACCOUNT_CHANGE, 5),
    EventName.MFA_LOCK_OUT: OcsfType(ACCOUNT_CHANGE, 9),
    EventName.MFA_SET_UP: OcsfType(ACCOUNT_CHANGE, 10),
    EventName.MFA_ADD_METHOD: OcsfType(ACCOUNT_CHANGE, 10),
    EventName.MFA_REMOVE_METHOD: OcsfType(ACCOUNT_CHANGE, 11),
    EventName.MFA_RESET: OcsfType(ACCOUNT_CHANGE, 11),
    EventName.FLOW_CREATE: OcsfType(ENTITY, 1),
    EventName.FLOW_CHANGE: OcsfType(ENTITY, 3),
    EventName.FLOW_MANAGE: OcsfType(ENTITY, 3),
    EventName.FLOW_RELEASE: OcsfType(ENTITY, 3),
    EventName.FLOW_DELETE: OcsfType(ENTITY, 4),
    EventName.INTEGRATION_CREATE: OcsfType(ENTITY, 1),
    EventName.INTEGRATION_CHANGE: OcsfType(ENTITY, 3),
    EventName.INTEGRATION_DELETE: OcsfType(ENTITY, 4),
    EventName.REQUEST_SUBMIT: OcsfType(ENTITY, 1),
    EventName.REQUEST_APPROVE: OcsfType(ENTITY, 3),
    EventName.REQUEST_REJECT: OcsfType(ENTITY, 3),
    EventName.GRANT_ACTIVATE: OcsfType(ACCESS, 1),
    EventName.GRANT_CONTAIN: OcsfType(ACCESS, 2),
    EventName.GRANT_REVEAL: OcsfType(ENTITY, 2),
    EventName.WEBHOOK_CREATE: OcsfType(ENTITY, 1),
    EventName.WEBHOOK_CHANGE: OcsfType(ENTITY, 3),
    EventName.WEBHOOK_DELETE: OcsfType(ENTITY, 4),
    EventName.AUDIT_EXPORT: OcsfType(ENTITY, 2),
}


def type_of(event: str) -> OcsfType:
    known = TYPES.get(EventName(event)) if event in EventName.values else None
    return known or OcsfType(CLASS_OF_SUBJECT.get(event.partition(":")[0], ENTITY), OTHER)


def ocsf_event(event: Event, record: Record, entry: ChainEntry) -> dict[str, Any]:
    """Return an event as OCSF. ``record`` is the event as it is hashed."""
    kind = type_of(event.event)
    is_warning = event.event in WARNINGS
    document: dict[str, Any] = {
        "category_uid": CATEGORY_IAM,
        "class_uid": kind.class_uid,
        "activity_id": kind.activity_id,
        "activity_name": event.event,
        "type_uid": kind.class_uid * 100 + kind.activity_id,
        "time": int(event.at.timestamp() * 1000),
        "severity_id": _severity(event.event),
        "status_id": FAILURE if is_warning else SUCCESS,
        "message": event.get_event_display(),
        "metadata": {
            "version": OCSF_VERSION,
            "product": {"name": "Apono Portal", "vendor_name": "Apono"},
            "uid": str(event.pk),
            "sequence": entry.position,
        },
        "actor": {"user": _user(event.actor_id, event.actor_label)},
        "src_endpoint": {"ip": event.address or ""},
        "unmapped": {
            "request": event.request_label,
            "digest": entry.digest,
            "chain_hash": entry.chain_hash,
            "record": json.dumps(record, sort_keys=True),
        },
    }
    if kind.class_uid == ENTITY:
        document["entity"] = {
            "type": event.target_type or "portal",
            "uid": event.target_id,
            "name": event.target_label,
        }
    else:
        document["user"] = _subject(event)
    return document


def _severity(event: str) -> int:
    if event == EventName.AUDIT_DETECT_TAMPERING:
        return CRITICAL
    return MEDIUM if event in WARNINGS else INFORMATIONAL


def _subject(event: Event) -> dict[str, str]:
    """Return whom an event is about: its target if that is a user, else who acted."""
    if event.target_type.endswith(".user"):
        return _user(event.target_id, event.target_label)
    return _user(event.actor_id, event.actor_label)


def _user(uid: object, label: str) -> dict[str, str]:
    email = label.partition(" <")[2].rstrip(">")
    return {"uid": "" if uid is None else str(uid), "name": person(label), "email_addr": email}
