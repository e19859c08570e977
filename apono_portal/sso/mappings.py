"""Groups and roles that follow from the groups claim, by explicit rows.

Only memberships that a provider's mappings gave are taken away by them, and only a role that they gave. A
lost membership revokes access as an admin's edit does: the worker compares requests with groups
(`requests_app.grants.revocation.revoke_ineligible`).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib.auth.models import Group
from django.db import transaction

from apono_portal.core.web.client import ClientInfo
from apono_portal.sso.claims import VerifiedClaims
from apono_portal.sso.models import ClaimMapping, ExternalIdentity, MappedMembership
from apono_portal.users.models import Role, User
from apono_portal.users.services import change_user_from_directory

RANK = (Role.MEMBER, Role.AUDITOR, Role.ADMIN)


@dataclass(frozen=True)
class MappedValues:
    """What the mappings make of a groups claim. An empty role gives none."""

    groups: frozenset[Group]
    role: str


def map_values(mappings: Iterable[ClaimMapping], values: frozenset[str]) -> MappedValues:
    matching = [mapping for mapping in mappings if mapping.value in values]
    roles = [Role(mapping.role) for mapping in matching if mapping.role]
    return MappedValues(
        groups=frozenset(mapping.group for mapping in matching if mapping.group),
        role=max(roles, key=RANK.index, default=""),
    )


def apply_claims(
    *, identity: ExternalIdentity, claims: VerifiedClaims, client_info: ClientInfo
) -> User:
    """Give and take what the mappings say, and return the user as saved.

    Groups that the provider did not tell stay as they are.
    """
    provider, user = identity.provider, identity.user
    mappings = list(provider.mappings.select_related("group"))
    name = claims.name or user.name
    if claims.groups is None:
        return _save(identity, name, user.role, set(user.groups.all()), client_info)
    mapped = map_values(mappings, claims.groups)
    with transaction.atomic():
        groups = _groups_after(identity, mapped.groups)
        role = _role_after(identity, mapped.role)
        saved = _save(identity, name, role, groups, client_info)
        identity.mapped_role = mapped.role
        identity.save(update_fields=["mapped_role"])
    return saved


def _save(
    identity: ExternalIdentity,
    name: str,
    role: str,
    groups: set[Group],
    client_info: ClientInfo,
) -> User:
    return change_user_from_directory(
        user=identity.user,
        name=name,
        role=role,
        groups=groups,
        directory=str(identity.provider),
        client_info=client_info,
    )


def _groups_after(identity: ExternalIdentity, mapped: frozenset[Group]) -> set[Group]:
    """Return the user's groups, and keep which of them came from here."""
    user, provider = identity.user, identity.provider
    current = set(user.groups.all())
    rows = MappedMembership.objects.filter(provider=provider, user=user)
    given = {row.group for row in rows.select_related("group")}
    others = MappedMembership.objects.filter(user=user).exclude(provider=provider)
    elsewhere = set(Group.objects.filter(pk__in=others.values("group")))
    rows.filter(group__in=given - mapped).delete()
    new = mapped - current
    MappedMembership.objects.bulk_create(
        MappedMembership(provider=provider, user=user, group=group) for group in new - given
    )
    return (current - (given - mapped - elsewhere)) | new


def _role_after(identity: ExternalIdentity, mapped: str) -> str:
    """Return the role: the mapped one, or a member's once a mapped one is gone."""
    if mapped:
        return mapped
    is_from_here = identity.mapped_role and identity.mapped_role == identity.user.role
    return Role.MEMBER if is_from_here else identity.user.role
