"""The same for several users: one service, one transaction and one event for each, and what was refused."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from apono_portal.core.web.client import ClientInfo
from apono_portal.users.exceptions import UserError
from apono_portal.users.models import User
from apono_portal.users.services.mfa_reset import reset_mfa_of_user
from apono_portal.users.services.users import deactivate_user
from mfa.exceptions import MfaError, WindowClosed
from mfa.verification.window import Window

YOURSELF = "Do this for yourself on your own page."
ALREADY_DEACTIVATED = "Already deactivated."
ADMIN_ALONE = "This is an admin. Reset MFA on the page of the user."
WINDOW_CLOSED = "Your verified window closed before this user's turn. Verify and try again."


@dataclass(frozen=True)
class BulkOutcome:
    """The users for whom it was done, and those for whom it was refused, each with a sentence."""

    done: list[User] = field(default_factory=list)
    refused: list[tuple[User, str]] = field(default_factory=list)


def deactivate_users(
    *, actor: User, window: Window | None, users: Collection[User], client_info: ClientInfo
) -> BulkOutcome:
    """Deactivate users one by one, never the actor. Raises `WindowClosed` if the first finds it closed."""

    def deactivate(user: User) -> None:
        if not deactivate_user(actor=actor, window=window, user=user, client_info=client_info):
            raise UserError(ALREADY_DEACTIVATED)

    return _for_every(users, deactivate, actor=actor)


def reset_mfa_of_users(
    *,
    actor: User,
    window: Window | None,
    users: Collection[User],
    reason: str,
    revoke_access: bool,
    client_info: ClientInfo,
) -> BulkOutcome:
    """Reset the MFA of users one by one, never of admins, whose reset deserves a look of its own.

    The actor's would end the session that acts.
    """

    def reset(user: User) -> None:
        if user.is_account_admin:
            raise UserError(ADMIN_ALONE)
        reset_mfa_of_user(
            actor=actor,
            window=window,
            user=user,
            reason=reason,
            revoke_access=revoke_access,
            client_info=client_info,
        )

    return _for_every(users, reset, actor=actor)


def _for_every(users: Collection[User], act: Callable[[User], None], *, actor: User) -> BulkOutcome:
    outcome = BulkOutcome()
    for user in users:
        if user.pk == actor.pk:
            outcome.refused.append((user, YOURSELF))
            continue
        try:
            act(user)
        except WindowClosed:
            if not outcome.done:
                raise
            outcome.refused.append((user, WINDOW_CLOSED))
        except (UserError, MfaError) as refusal:
            outcome.refused.append((user, str(refusal)))
        else:
            outcome.done.append(user)
    return outcome
