"""Named filters over integrations, what they offer, and access flows."""

from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.db import models
from django.db.models import Q

if TYPE_CHECKING:
    from accessflows.models import AccessFlow, Integration, Permission, Resource  # noqa: F401


SEARCHED = (
    "requester_users__name",
    "requester_users__email",
    "requester_groups__name",
    "targets__resource__name",
    "targets__permission__name",
    "targets__resource__integration__name",
)


class IntegrationQuerySet(models.QuerySet["Integration"]):
    def active(self) -> "IntegrationQuerySet":
        return self.filter(is_active=True)


class ResourceQuerySet(models.QuerySet["Resource"]):
    def present(self) -> "ResourceQuerySet":
        return self.filter(missing_since=None)


class PermissionQuerySet(models.QuerySet["Permission"]):
    def present(self) -> "PermissionQuerySet":
        return self.filter(missing_since=None)


class AccessFlowQuerySet(models.QuerySet["AccessFlow"]):
    def active(self) -> "AccessFlowQuerySet":
        return self.filter(is_active=True)

    def matching(self, text: str) -> "AccessFlowQuerySet":
        """Flows of which every word of ``text`` is in the name, a person, a group or a target."""
        found = self.all()
        for word in text.split():
            holds = Q(name__icontains=word)
            for path in SEARCHED:
                holds |= Q(pk__in=self.model.objects.filter(**{f"{path}__icontains": word}))
            found = found.filter(holds)
        return found

    def leading_to(self, integration: int) -> "AccessFlowQuerySet":
        """Flows that give something of an integration."""
        giving = self.model.objects.filter(targets__resource__integration=integration)
        return self.filter(pk__in=giving.values("pk"))

    def requiring_mfa(self) -> "AccessFlowQuerySet":
        return self.filter(require_mfa=True)

    def requestable_by(self, user: Any) -> "AccessFlowQuerySet":
        """Active flows that name the person, or a group of the person, as requester."""
        return self.active().filter(pk__in=self.ids_requestable_by(user))

    def ids_requestable_by(self, user: Any) -> models.QuerySet[Any, Any]:
        """Numbers of such flows, active or not, read off the tables that name the person."""
        flow = self.model
        return _naming(user, flow.requester_users.through, flow.requester_groups.through)

    def decidable_by(self, user: Any) -> "AccessFlowQuerySet":
        """Flows that name the person, or a group of the person, as approver."""
        return self.filter(pk__in=self.ids_decidable_by(user))

    def ids_decidable_by(self, user: Any) -> models.QuerySet[Any, Any]:
        """Their numbers, read off the tables that name the person."""
        flow = self.model
        return _naming(user, flow.approver_users.through, flow.approver_groups.through)


def _naming(user: Any, people: Any, groups: Any) -> models.QuerySet[Any, Any]:
    """Numbers of flows that name the person in one table, or a group of the person in the other.

    Asked from the person's side: a flow's groups may have a million members, a person has few groups.
    """
    memberships: Any = get_user_model().groups.through
    mine = memberships._default_manager.filter(user=_id(user)).values("group")
    by_person = people._default_manager.filter(user=_id(user)).values("accessflow")
    by_group = groups._default_manager.filter(group__in=mine).values("accessflow")
    named: models.QuerySet[Any, Any] = by_person.union(by_group)
    return named


def _id(user: Any) -> int:
    """A person or a person's number."""
    number: int = getattr(user, "pk", user)
    return number
