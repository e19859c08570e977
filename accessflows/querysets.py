"""Named filters over integrations, what they offer, and access flows."""

from typing import TYPE_CHECKING, Any, cast

from django.contrib.auth import get_user_model
from django.db import models
from django.db.models import Q

from accessflows import requesters

if TYPE_CHECKING:
    from accessflows.models import (  # noqa: F401
        AccessFlow,
        Integration,
        Permission,
        RequesterCondition,
        Resource,
    )
    from apono_portal.users.models import User

SEARCHED_FIELDS = (
    "requester_conditions__values__user__name",
    "requester_conditions__values__user__email",
    "requester_conditions__values__group__name",
    "requester_conditions__values__text",
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


class RequesterConditionQuerySet(models.QuerySet["RequesterCondition"]):
    def met_by(self, user: int | str) -> models.QuerySet[Any, Any]:
        """Conditions of the sets that a user meets as a whole (`requesters.met_conditions`)."""
        values = self.model.values.rel.related_model._default_manager.order_by()
        return requesters.met_conditions(self.all(), values, user)


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
        """Active flows of which the user meets a set of conditions."""
        return self.active().filter(pk__in=self.ids_requestable_by(user))

    def ids_requestable_by(self, user: "User | int") -> models.QuerySet[Any, Any]:
        """Ids of flows of which the user is a requester, active or not."""
        related = self.model.requester_conditions.rel.related_model
        conditions = cast("type[RequesterCondition]", related).objects
        user_id = user if isinstance(user, int) else user.pk
        return conditions.met_by(user_id).values("flow")

    def decidable_by(self, user: "User | int") -> "AccessFlowQuerySet":
        """Flows that name the user, or one of the user's groups, as approver."""
        return self.filter(pk__in=self.ids_decidable_by(user))

    def ids_decidable_by(self, user: "User | int") -> models.QuerySet[Any, Any]:
        """Ids of flows that name the user as approver.

        Starts from the user: a flow's groups may have a million members, a user has few groups.
        """
        users, groups = self.model.approver_users.through, self.model.approver_groups.through
        user_id = user if isinstance(user, int) else user.pk
        memberships = get_user_model().groups.through._default_manager.filter(user=user_id)
        by_user = users._default_manager.filter(user=user_id).values("accessflow")
        by_group = groups._default_manager.filter(group__in=memberships.values("group"))
        return by_user.union(by_group.values("accessflow"))
