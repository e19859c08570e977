"""Where the SCIM service reads and writes: the rows of one directory."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Generic, TypeVar, cast
from unicodedata import normalize
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Prefetch, QuerySet
from django.utils import timezone
from scim2_models import (
    InvalidFilterException,
    InvalidValueException,
    NotFoundException,
    NotImplementedException,
    PreconditionFailedException,
    Resource,
    ResourceType,
    ResponseParameters,
    SearchRequest,
    UniquenessException,
)
from scim2_models.path import CompareOperator, Comparison, LogicalExpr, LogicalOperator
from scim2_server.storage import ScimStorage, SearchPage

from apono_portal.scim.accounts import release_account, update_account
from apono_portal.scim.caller import Caller
from apono_portal.scim.memberships import create_group, delete_group, members_of, update_group
from apono_portal.scim.models import ScimGroup, ScimUser
from apono_portal.scim.protocol import scim_service

MAX_TEXT = 255
# What has a column, is computed, or must not be stored.
NOT_IN_DOCUMENT = {"id", "externalId", "meta", "password", "groups", "members"}

Row = TypeVar("Row", ScimUser, ScimGroup)
Document = dict[str, Any]


class Table(ABC, Generic[Row]):
    """The resources of one type. ``locks`` reads rows for an update, so that none is lost."""

    rows_of: ClassVar[type[Any]]
    filters: ClassVar[Mapping[str, str]]

    def __init__(self, caller: Caller, *, locks: bool) -> None:
        self.caller, self.locks = caller, locks

    @property
    def resource_type(self) -> ResourceType:
        return scim_service().get_resource_type(self.name)

    @property
    @abstractmethod
    def name(self) -> str: ...

    @abstractmethod
    def details(self, row: Row, *, with_members: bool = True) -> Document:
        """Return what a resource has besides its document."""

    @abstractmethod
    def apply(self, row: Row, resource: Any) -> None:
        """Save a row and what it means for the portal."""

    @abstractmethod
    def remove(self, row: Row) -> None: ...

    def rows(self) -> QuerySet[Row]:
        rows = self.rows_of.objects.filter(directory=self.caller.directory)
        return cast("QuerySet[Row]", rows)

    def get(self, resource_id: str) -> Resource[Any]:
        return self.read(self.find(resource_id))

    def find(self, resource_id: str) -> Row:
        rows = self.rows().select_for_update(of=("self",)) if self.locks else self.rows()
        try:
            row = rows.filter(pk=UUID(resource_id)).first()
        except ValueError:
            row = None
        if row is None:
            raise NotFoundException(detail=f"There is no {self.name} {resource_id!r}.")
        return row

    def create(self, resource: Resource[Any]) -> Resource[Any]:
        now = timezone.now()
        row = self.rows_of(directory=self.caller.directory, created_at=now, changed_at=now)
        self.write(row, resource)
        return self.read(row)

    def update(self, resource: Resource[Any], expected_version: str | None) -> Resource[Any]:
        row = self.find(str(resource.id))
        self.require_version(row, expected_version)
        row.version, row.changed_at = row.version + 1, timezone.now()
        self.write(row, resource)
        return self.read(row)

    def delete(self, resource_id: str, expected_version: str | None) -> None:
        row = self.find(resource_id)
        self.require_version(row, expected_version)
        self.remove(row)

    def write(self, row: Row, resource: Resource[Any]) -> None:
        document = resource.model_dump()
        row.external_id = checked_text(document.get("externalId") or "")
        row.document = {k: v for k, v in document.items() if k not in NOT_IN_DOCUMENT}
        if "\\u0000" in json.dumps(row.document):  # which PostgreSQL rejects
            raise InvalidValueException(detail="A value has a NUL character.")
        try:
            with transaction.atomic():
                self.apply(row, resource)
        except IntegrityError:
            raise UniquenessException from None

    def read(self, row: Row, *, with_members: bool = True) -> Resource[Any]:
        values = {
            **row.document,
            **self.details(row, with_members=with_members),
            "id": str(row.pk),
            "meta": {
                "resourceType": self.name,
                "created": row.created_at.isoformat(),
                "lastModified": row.changed_at.isoformat(),
                "version": version_of(row),
            },
        }
        if row.external_id:
            values["externalId"] = row.external_id
        return scim_service().get_model(self.resource_type).model_validate(values)

    def require_version(self, row: Row, expected: str | None) -> None:
        if expected is not None and version_of(row) != expected:
            raise PreconditionFailedException

    def search(self, request: SearchRequest[Any]) -> SearchPage:
        rows = self.rows()
        if request.filter is not None:
            rows = rows.filter(**self.conditions(request.filter.ast))
        start, count = request.start_index_0 or 0, request.count
        stop = None if count is None else start + count
        with_members = "members" not in {str(path) for path in request.excluded_attributes or []}
        page = rows.order_by("created_at", "pk")[start:stop]
        return SearchPage(rows.count(), [self.read(row, with_members=with_members) for row in page])

    def conditions(self, node: Any) -> dict[str, Any]:
        """Return the lookups of a filter: comparisons with ``eq``, joined by ``and``.

        Raises `InvalidFilterException` for any other filter: one that is ignored would show users
        that do not match.
        """
        if isinstance(node, LogicalExpr) and node.op == LogicalOperator.and_:
            terms = [self.conditions(term) for term in node.terms]
            lookups = {name: value for term in terms for name, value in term.items()}
            if len(lookups) == sum(map(len, terms)):
                return lookups
        if isinstance(node, Comparison) and node.op == CompareOperator.eq:
            lookup = self.filters.get(str(node.attr_path).rpartition(":")[2].lower())
            if lookup and isinstance(node.value, str):
                return {lookup: comparable(lookup, node.value)}
        names = ", ".join(sorted(self.filters))
        raise InvalidFilterException(detail=f"Filter with eq and and, by {names}.")


class Users(Table[ScimUser]):
    rows_of = ScimUser
    name = "User"
    filters = {
        "id": "pk",
        "externalid": "external_id",
        "username": "user_name",
        "emails.value": "user__email",
    }

    def rows(self) -> QuerySet[ScimUser]:
        groups = ScimGroup.objects.select_related("group").order_by("created_at", "pk")
        return super().rows().select_related("user").prefetch_related(Prefetch("groups", groups))

    def details(self, row: ScimUser, *, with_members: bool = True) -> Document:
        details: Document = {}
        if groups := list(row.groups.all()):
            details["groups"] = [
                {"value": str(group.pk), "$ref": f"Groups/{group.pk}", "display": str(group)}
                for group in groups
            ]
        if row.user and not row.user.is_active:  # deactivated here, or there
            details["active"] = False
        return details

    def apply(self, row: ScimUser, resource: Any) -> None:
        row.user_name = checked_text(comparable("user_name", resource.user_name))
        row.save()
        update_account(caller=self.caller, row=row)

    def remove(self, row: ScimUser) -> None:
        release_account(caller=self.caller, row=row)
        row.delete()


class Groups(Table[ScimGroup]):
    rows_of = ScimGroup
    name = "Group"
    filters = {
        "id": "pk",
        "externalid": "external_id",
        "displayname": "group__name__iexact",
        "members": "members",
        "members.value": "members",
    }

    def rows(self) -> QuerySet[ScimGroup]:
        return super().rows().select_related("group")

    def details(self, row: ScimGroup, *, with_members: bool = True) -> Document:
        details: Document = {"displayName": row.group.name}
        if with_members and (members := list(row.members.order_by("user_name"))):
            details["members"] = [
                {"value": str(member.pk), "$ref": f"Users/{member.pk}", "type": "User"}
                for member in members
            ]
        return details

    def apply(self, row: ScimGroup, resource: Any) -> None:
        name = resource.display_name or ""
        members = members_of(self.caller, resource.members or [])
        if row.group_id is None:
            row.group = create_group(caller=self.caller, name=name)
        row.save()
        update_group(caller=self.caller, row=row, name=row_name(name), members=members)

    def remove(self, row: ScimGroup) -> None:
        delete_group(caller=self.caller, row=row)


class DirectoryStorage(ScimStorage):
    """The users and groups of the directory that calls."""

    def __init__(self, caller: Caller, *, locks: bool) -> None:
        self.tables: dict[str | None, Table[Any]] = {
            table.name: table(caller, locks=locks) for table in (Users, Groups)
        }

    def operation(self) -> AbstractContextManager[None]:
        return transaction.atomic()

    def get(
        self,
        resource_type: ResourceType,
        resource_id: str,
        *,
        response_parameters: ResponseParameters[Any] | None = None,
    ) -> Resource[Any]:
        return self.tables[resource_type.name].get(resource_id)

    def search(
        self,
        resource_types: list[ResourceType],
        search_request: SearchRequest[Any],
        *,
        position: Any = None,
    ) -> SearchPage:
        if len(resource_types) != 1:
            raise NotImplementedException(detail="Search /Users or /Groups.")
        return self.tables[resource_types[0].name].search(search_request)

    def create(self, resource_type: ResourceType, resource: Resource[Any]) -> Resource[Any]:
        return self.tables[resource_type.name].create(resource)

    def update(
        self,
        resource_type: ResourceType,
        resource: Resource[Any],
        *,
        expected_version: str | None = None,
    ) -> Resource[Any]:
        return self.tables[resource_type.name].update(resource, expected_version)

    def delete(
        self,
        resource_type: ResourceType,
        resource_id: str,
        *,
        expected_version: str | None = None,
    ) -> None:
        self.tables[resource_type.name].delete(resource_id, expected_version)


def version_of(row: ScimUser | ScimGroup) -> str:
    return f'W/"{row.version}"'


def comparable(lookup: str, text: str) -> Any:
    """Return a value in the form in which it is stored or compared."""
    if lookup in {"pk", "members"}:
        try:
            return UUID(text)
        except ValueError:
            return UUID(int=0)  # nobody's
    if "\0" in text:  # which PostgreSQL rejects
        raise InvalidValueException(detail="A value has a NUL character.")
    if lookup == "user_name":
        return normalize("NFC", normalize("NFC", text).lower())
    return text.lower() if lookup == "user__email" else text


def checked_text(text: str) -> str:
    if len(text) > MAX_TEXT or "\0" in text:
        raise InvalidValueException(detail=f"An identifier has at most {MAX_TEXT} characters.")
    return text


def row_name(name: str) -> str:
    """Return the name of a group as it is stored."""
    return " ".join(name.split())
