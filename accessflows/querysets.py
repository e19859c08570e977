"""Named filters over integrations, what they offer, and access flows."""

from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.db import models
from django.db.models import Q

if TYPE_CHECKING:
    from accessflows.models import AccessFlow, Integration, Permission, Resource  # noqa: F401
    from apono_portal.users.models import User

SEARCHED_FIELDS = (
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
        """Flows with every word of ``text`` in their name, requesters, groups or targets."""
        flows = self.all()
        for word in text.split():
            condition = Q(name__icontains=word)
            for path in SEARCHED_FIELDS:
                condition |= Q(pk__in=self.model.objects.filter(**{f"{path}__icontains": word}))
            flows = flows.filter(condition)
        return flows

    def using_integration(self, integration_id: int) -> "AccessFlowQuerySet":
        """Flows that grant something on an integration."""
        using = self.model.objects.filter(targets__resource__integration=integration_id)
        return self.filter(pk__in=using.values("pk"))

    def requiring_mfa(self) -> "AccessFlowQuerySet":
        return self.filter(require_mfa=True)

    def requestable_by(self, user: "User | int") -> "AccessFlowQuerySet":
        """Active flows that name the user, or one of the user's groups, as requester."""
        return self.active().filter(pk__in=self.ids_requestable_by(user))

    def ids_requestable_by(self, user: "User | int") -> models.QuerySet[Any, Any]:
        """Ids of flows that name the user as requester, active or not."""
        flow = self.model
        return _naming(user, flow.requester_users.through, flow.requester_groups.through)

    def decidable_by(self, user: "User | int") -> "AccessFlowQuerySet":
        """Flows that name the user, or one of the user's groups, as approver."""
        return self.filter(pk__in=self.ids_decidable_by(user))

    def ids_decidable_by(self, user: "User | int") -> models.QuerySet[Any, Any]:
        """Ids of flows that name the user as approver."""
        flow = self.model
        return _naming(user, flow.approver_users.through, flow.approver_groups.through)


def _naming(
    user: "User | int", users: type[models.Model], groups: type[models.Model]
) -> models.QuerySet[Any, Any]:
    """Ids of flows that name the user in one table, or a group of the user in the other.

    Starts from the user: a flow's groups may have a million members, a user has few groups.
    """
    user_id = user if isinstance(user, int) else user.pk
    memberships = get_user_model().groups.through._default_manager.filter(user=user_id)
    by_user = users._default_manager.filter(user=user_id).values("accessflow")
    by_group = groups._default_manager.filter(group__in=memberships.values("group"))
    return by_user.union(by_group.values("accessflow"))
