"""What the page of a user shows to admins and auditors, in a number of statements that no history changes."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import Group
from django.db.models import QuerySet

from apono_portal.api.models import ApiToken
from apono_portal.api.tokens.selectors import tokens_of
from apono_portal.sso.enforcement import enforcing_provider, may_use_password
from apono_portal.sso.models import ExternalIdentity, MappedMembership
from apono_portal.users.models import DeactivatedBy, User
from apono_portal.users.ownership import directory_of
from apono_portal.users.selectors import locked_out_users
from mfa.enrolment.recovery_codes import count_recovery_codes
from mfa.methods.selectors import UserMethod, methods_of
from mfa.models import Verification
from requests_app.active_access.forms import MAX_SELECTED
from requests_app.grants.revocation import ENDABLE
from requests_app.models import AccessRequest
from requests_app.presenters.request import RequestSummary
from requests_app.selectors import own_requests

MAX_GROUPS = 100
RECENT_REQUESTS = 5
LOCAL = "Local"


@dataclass(frozen=True)
class Membership:
    """A group of a user, and where the membership comes from: a directory, single sign-on, or the portal."""

    group: Group
    source: str


@dataclass(frozen=True)
class UserPage:
    """All that the page of a user shows. ``revocable`` are requests whose access can be revoked at once."""

    user: User
    directory: str
    sign_in: str
    deactivated_by: str
    uses_password: bool
    is_locked_out: bool
    methods: list[UserMethod]
    recovery_codes: int
    last_verification: Verification | None
    memberships: list[Membership]
    has_more_groups: bool
    identities: list[ExternalIdentity]
    revocable: list[int]
    requests: list[RequestSummary]
    tokens: list[ApiToken]


def users_with_source() -> QuerySet[User]:
    """Return users with the directory that manages each, and their MFA state."""
    return User.objects.select_related("mfa_state", "scim_user__directory")


def user_page(user: User, now: datetime) -> UserPage:
    accepts_password = may_use_password(user)
    identities = list(user.external_identities.select_related("provider"))
    groups = list(_groups_of(user)[: MAX_GROUPS + 1])
    return UserPage(
        user=user,
        directory=directory_of(user),
        sign_in=_ways_to_sign_in(user, identities, accepts_password=accepts_password),
        deactivated_by=_deactivated_by(user),
        uses_password=user.is_active and not user.is_service and accepts_password,
        is_locked_out=bool(locked_out_users(now, [user.pk])),
        methods=methods_of(user.pk),
        recovery_codes=count_recovery_codes(user.pk),
        last_verification=Verification.objects.passed().filter(user=user).order_by("-at").first(),
        memberships=memberships_of(user, groups[:MAX_GROUPS]),
        has_more_groups=len(groups) > MAX_GROUPS,
        identities=identities,
        revocable=_revocable_requests_of(user),
        requests=[RequestSummary(request) for request in own_requests(user)[:RECENT_REQUESTS]],
        tokens=tokens_of(user),
    )


def memberships_of(user: User, groups: Iterable[Group]) -> list[Membership]:
    """Return the groups with their sources. One query."""
    mapped = MappedMembership.objects.filter(user=user).select_related("provider")
    providers = {row.group_id: str(row.provider) for row in mapped}
    return [
        Membership(group, str(group.scim_group.directory))
        if hasattr(group, "scim_group")
        else Membership(group, providers.get(group.pk, LOCAL))
        for group in groups
    ]


def _groups_of(user: User) -> QuerySet[Group]:
    return user.groups.select_related("scim_group__directory").order_by("name")


def _revocable_requests_of(user: User) -> list[int]:
    requests = AccessRequest.objects.of(user).filter(status__in=ENDABLE).order_by("pk")
    return list(requests.values_list("pk", flat=True)[:MAX_SELECTED])


def _ways_to_sign_in(
    user: User, identities: list[ExternalIdentity], *, accepts_password: bool
) -> str:
    if user.is_service:
        return "API tokens only"
    if not accepts_password:
        return f"{enforcing_provider(user.email)}, no password"
    ways = [str(identity.provider) for identity in identities]
    if user.has_usable_password():
        ways.append("password")
    text = " or ".join(dict.fromkeys(ways))
    return f"{text[0].upper()}{text[1:]}" if text else "No password set yet"


def _deactivated_by(user: User) -> str:
    if user.is_active:
        return ""
    if user.deactivated_by == DeactivatedBy.DIRECTORY:
        return directory_of(user) or "a directory"
    return "an admin"
