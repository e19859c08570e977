"""What a directory's users mean for the portal: accounts that are added, changed and deactivated.

A directory never changes a role, and never the password of anybody.
"""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from scim2_models import InvalidValueException, UniquenessException

from apono_portal.core.formatting.printable import validate_printable
from apono_portal.scim.caller import Caller
from apono_portal.scim.models import ScimUser
from apono_portal.users.managers import normalise_email
from apono_portal.users.models import DeactivatedBy, User
from apono_portal.users.services.users import create_user_from_directory, end_account
from audit.events import EventName
from audit.services import record
from mfa import emails

MAX_EMAIL_LENGTH = 254
MAX_NAME_LENGTH = 64
EMAIL_OF_ANOTHER = "Another user has this email."


def update_account(*, caller: Caller, row: ScimUser) -> None:
    """Bring a user's account in line with what the directory says about the user."""
    with transaction.atomic():
        email = email_of(row.document)
        if row.user is None:
            if not email:
                return
            row.user = _link_account(caller, email) or _create_account(caller, row, email)
            row.save(update_fields=["user"])
            row.user.groups.add(*(group.group_id for group in row.groups.all()))
        _update_fields(caller, row.user, email or row.user.email, name_of(row.document))
        if not row.is_active:
            _deactivate(caller, row.user, f"{caller.directory} deactivated the user.")
        elif row.user.deactivated_by == DeactivatedBy.DIRECTORY:
            _reactivate(caller, row.user)


def release_account(*, caller: Caller, row: ScimUser) -> None:
    """Deactivate the account of a user whom the directory deletes. The history stays."""
    if row.user is None:
        return
    with transaction.atomic():
        row.user.groups.remove(*(group.group_id for group in row.groups.all()))
        _deactivate(caller, row.user, f"{caller.directory} deleted the user.")


def email_of(document: dict[str, Any]) -> str:
    """Return the primary email, else the one at work, else any, else a userName that is one."""
    entries = [entry for entry in document.get("emails") or [] if entry.get("value")]
    entries.sort(key=lambda entry: (not entry.get("primary"), entry.get("type") != "work"))
    text = entries[0]["value"] if entries else document["userName"]
    email = normalise_email(text)
    try:
        validate_email(email)
    except ValidationError:
        return ""
    if len(email) > MAX_EMAIL_LENGTH:
        raise InvalidValueException(detail="The email is too long.")
    return email


def name_of(document: dict[str, Any]) -> str:
    """Return the name to show, cut to the length of a user's name."""
    name = document.get("name") or {}
    parts = " ".join(filter(None, (name.get("givenName"), name.get("familyName"))))
    candidates = (document.get("displayName"), name.get("formatted"), parts, document["userName"])
    text = next((" ".join(text.split()) for text in candidates if text and text.strip()), "")
    try:
        validate_printable(text)
    except ValidationError:
        raise InvalidValueException(detail="The name has invisible characters.") from None
    return text[:MAX_NAME_LENGTH].rstrip()


def _link_account(caller: Caller, email: str) -> User | None:
    """Return the local user with this email, whom the directory manages from now on.

    Never a break-glass admin, who is there for the day the directory is gone, nor a service account.
    """
    user = User.objects.filter(email=email).first()
    if user is None:
        return None
    if user.is_service or user.is_break_glass or ScimUser.objects.filter(user=user).exists():
        raise UniquenessException(detail=EMAIL_OF_ANOTHER)
    _record(caller, EventName.USER_CHANGE, user, linked=True)
    return user


def _create_account(caller: Caller, row: ScimUser, email: str) -> User:
    return create_user_from_directory(
        email=email,
        name=name_of(row.document),
        directory=caller.label,
        metadata=caller.metadata(),
        client_info=caller.client_info,
    )


def _update_fields(caller: Caller, user: User, email: str, name: str) -> None:
    changes = {
        field: {"from": getattr(user, field), "to": value}
        for field, value in (("email", email), ("name", name))
        if getattr(user, field) != value
    }
    if not changes:
        return
    if User.objects.filter(email=email).exclude(pk=user.pk).exists():
        raise UniquenessException(detail=EMAIL_OF_ANOTHER)
    former = user.email
    user.email, user.name = email, name
    user.save(update_fields=["email", "name", "search_words"])
    event = _record(caller, EventName.USER_CHANGE, user, changes=changes)
    if former != email:
        emails.email_changed(event=event, user=user, former=former, by=caller.directory.name)


def _deactivate(caller: Caller, user: User, reason: str) -> None:
    end_account(
        user=user,
        by=DeactivatedBy.DIRECTORY,
        actor=None,
        client_info=caller.client_info,
        reason=reason,
        actor_label=caller.label,
        metadata=caller.metadata(),
    )


def _reactivate(caller: Caller, user: User) -> None:
    user.is_active, user.deactivated_by = True, ""
    user.save(update_fields=["is_active", "deactivated_by"])
    _record(caller, EventName.USER_REACTIVATE, user)


def _record(caller: Caller, event: EventName, user: User, **values: object) -> Any:
    return record(
        event=event,
        actor=None,
        actor_label=caller.label,
        target=user,
        client_info=caller.client_info,
        metadata=caller.metadata(**values),
    )
