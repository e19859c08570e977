"""Directories and their tokens: added and revoked by admins, checked at every request."""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from accessflows.permissions import require_admin
from apono_portal.core.web.client import ClientInfo
from apono_portal.scim.models import Directory, ScimToken
from apono_portal.users.exceptions import UserError
from apono_portal.users.models import User
from audit.events import EventName
from audit.services import record
from mfa.verification.window import Window

PREFIX = "scim_"
MAX_VALID_TOKENS = 2  # the one in use and its successor
USE_INTERVAL = timedelta(minutes=1)  # at most one write a minute for a busy token
NAME_TAKEN = "A directory with this name is connected already."
TOO_MANY = "Two tokens are valid. Revoke one before you create another."


@dataclass(frozen=True)
class NewToken:
    """A token and its text, which is shown once."""

    token: ScimToken
    text: str = field(repr=False)


def create_directory(
    *, actor: User, window: Window | None, name: str, client_info: ClientInfo
) -> Directory:
    """Connect a directory. It can do nothing until it has a token."""
    try:
        with transaction.atomic():
            require_admin(actor=actor, window=window)
            directory = Directory.objects.create(name=name)
            record(
                event=EventName.DIRECTORY_CREATE,
                actor=actor,
                target=directory,
                client_info=client_info,
            )
    except IntegrityError:
        raise UserError(NAME_TAKEN, field="name") from None
    return directory


def create_token(
    *,
    actor: User,
    window: Window | None,
    directory: Directory,
    lifetime: timedelta,
    client_info: ClientInfo,
) -> NewToken:
    """Create a token. An earlier one stays valid until it is revoked or expires."""
    text = f"{PREFIX}{secrets.token_urlsafe(32)}"
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        Directory.objects.select_for_update().get(pk=directory.pk)
        now = timezone.now()
        valid = ScimToken.objects.filter(
            directory=directory, revoked_at=None, expires_at__gt=now
        ).count()
        if valid >= MAX_VALID_TOKENS:
            raise UserError(TOO_MANY)
        token = ScimToken.objects.create(
            directory=directory,
            token_hash=hash_of(text),
            hint=text[-4:],
            created_at=now,
            created_by_label=str(actor),
            expires_at=now + lifetime,
        )
        record(
            event=EventName.DIRECTORY_CREATE_TOKEN,
            actor=actor,
            target=directory,
            client_info=client_info,
            metadata={"token": str(token), "expires_at": token.expires_at.isoformat()},
        )
    return NewToken(token, text)


def revoke_token(
    *, actor: User, window: Window | None, token: ScimToken, client_info: ClientInfo
) -> bool:
    """Refuse a token from now on. Returns whether it was valid."""
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        tokens = ScimToken.objects.filter(pk=token.pk, revoked_at=None)
        revoked = bool(tokens.update(revoked_at=timezone.now()))
        if revoked:
            record(
                event=EventName.DIRECTORY_REVOKE_TOKEN,
                actor=actor,
                target=token.directory,
                client_info=client_info,
                metadata={"token": str(token)},
            )
    return revoked


def delete_directory(
    *, actor: User, window: Window | None, directory: Directory, client_info: ClientInfo
) -> None:
    """Disconnect a directory. Its users and groups stay as they are, managed in the portal."""
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        record(
            event=EventName.DIRECTORY_DELETE,
            actor=actor,
            target=directory,
            client_info=client_info,
            metadata={"users": directory.users.count(), "groups": directory.groups.count()},
        )
        directory.delete()


def find_token(authorization: str) -> ScimToken | None:
    """Return the valid token of an Authorization header, and note that it was used."""
    scheme, _, text = authorization.partition(" ")
    if scheme.lower() != "bearer":
        return None
    now = timezone.now()
    token = (
        ScimToken.objects.filter(
            token_hash=hash_of(text.strip()), revoked_at=None, expires_at__gt=now
        )
        .select_related("directory")
        .first()
    )
    if token is not None:
        long_ago = Q(last_used_at=None) | Q(last_used_at__lt=now - USE_INTERVAL)
        ScimToken.objects.filter(long_ago, pk=token.pk).update(last_used_at=now)
    return token


def hash_of(text: str) -> str:
    """Return what the table has in place of a token: 256 random bits need no slow hash."""
    return hashlib.sha256(text.encode()).hexdigest()
