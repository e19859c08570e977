"""Importing users: all rows of a preview in one transaction, through the services of the Users tab."""

from collections.abc import Collection
from dataclasses import dataclass, field

from django.contrib.auth.models import Group
from django.db import transaction

from accessflows.permissions import require_admin
from apono_portal.core.web.client import ClientInfo
from apono_portal.users.exceptions import UserError
from apono_portal.users.imports.csv_file import ImportRow
from apono_portal.users.imports.preview import Action, ImportPlan, PlannedRow, plan_import
from apono_portal.users.models import User
from apono_portal.users.services.passwords import invite_user
from apono_portal.users.services.users import change_user, create_user
from audit.events import EventName
from audit.services import record
from mfa.verification.window import Window


class PreviewOutdated(UserError):
    """Users, groups or domains have changed since the preview. Nothing was imported."""


OUTDATED = "Something changed since this preview. Nothing was imported. Review it again."


@dataclass(frozen=True)
class ImportOutcome:
    """What was imported, and the password links to hand over where no email is configured."""

    plan: ImportPlan
    links: list[tuple[User, str]] = field(default_factory=list, repr=False)


def import_users(
    *,
    actor: User,
    window: Window | None,
    rows: Collection[ImportRow],
    seen: str,
    client_info: ClientInfo,
) -> ImportOutcome:
    """Add and change users as previewed, or nothing. ``seen`` is the digest of the plan that was shown.

    Raises `PreviewOutdated` if the rows would have another effect now.
    """
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        plan = plan_import(rows)
        if plan.digest != seen:
            raise PreviewOutdated(OUTDATED)
        record(
            event=EventName.USER_IMPORT,
            actor=actor,
            client_info=client_info,
            metadata={"rows": plan.counts},
        )
        outcome = ImportOutcome(plan)
        for row in plan.of(Action.CHANGE):
            _change(row, actor, window, client_info)
        for row in plan.of(Action.CREATE):
            if link := _create(row, actor, window, client_info):
                outcome.links.append(link)
    return outcome


def _create(
    row: PlannedRow, actor: User, window: Window | None, client_info: ClientInfo
) -> tuple[User, str] | None:
    """Add a user, and return the user with the password link that no email brings."""
    user = create_user(
        actor=actor,
        window=window,
        email=row.email,
        name=row.name,
        role=row.role,
        groups=Group.objects.filter(pk__in=row.group_ids),
        client_info=client_info,
    )
    if not row.gets_link:
        return None
    invitation = invite_user(actor=actor, window=window, user=user, client_info=client_info)
    return None if invitation.emailed else (user, invitation.link)


def _change(row: PlannedRow, actor: User, window: Window | None, client_info: ClientInfo) -> None:
    change_user(
        actor=actor,
        window=window,
        user=User.objects.get(pk=row.user_id),
        name=row.name,
        role=row.role,
        groups=Group.objects.filter(pk__in=row.group_ids),
        seen=row.seen,
        client_info=client_info,
    )
