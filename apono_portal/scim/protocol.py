"""The SCIM service: what it serves, announces and tolerates."""

import json
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import scim2_models as scim
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from pydantic import AfterValidator
from scim2_server.service import ScimService

MAX_PAGE = 200
MAX_FILTER_LENGTH = 1000


def _check_email(text: str | None) -> str | None:
    """Accept any email of any domain.

    The library's own type refuses the domains of private networks, such as `.internal`.
    """
    if text:
        try:
            validate_email(text)
        except ValidationError:
            raise ValueError("This is not an email address.") from None
    return text


class Email(scim.Email):
    value: Annotated[str | None, AfterValidator(_check_email)] = None


class GroupMember(scim.GroupMember):
    display: Annotated[str | None, scim.Mutability.read_only] = None  # not stored


if TYPE_CHECKING:  # a list of a subclass is no list of its base
    Emails = list[scim.Email]
    Members = list[scim.GroupMember]
else:
    Emails = list[Email]
    Members = list[GroupMember]


class User(scim.User[scim.AnyExtension]):
    emails: Emails | None = None


class Group(scim.Group):
    members: Members | None = None


class Service(ScimService):
    """The protocol, with a bound on filters, and for the members that Entra ID removes."""

    def read_patch(
        self, resource_type: scim.ResourceType, body: bytes, content_type: str | None
    ) -> "scim.PatchOp[Any]":
        """Read a removed member by its ``value`` alone: Entra ID adds a ``$ref`` of null.

        No member has that, so that nobody would be removed.
        """
        payload = self.decode_body(body, content_type)
        operations = payload.get("Operations") if isinstance(payload, dict) else None
        for operation in operations if isinstance(operations, list) else ():
            if isinstance(operation, dict) and str(operation.get("op")).lower() == "remove":
                operation["value"] = _by_value(operation.get("value"))
        return super().read_patch(resource_type, json.dumps(payload).encode(), content_type)

    def read_search(
        self, resource_types: list[scim.ResourceType], payload: Any
    ) -> tuple[scim.SearchRequest[Any], Any]:
        text = payload.get("filter") if isinstance(payload, dict) else None
        if isinstance(text, str) and len(text) > MAX_FILTER_LENGTH:
            raise scim.InvalidFilterException(
                detail=f"A filter has at most {MAX_FILTER_LENGTH} characters."
            )
        return super().read_search(resource_types, payload)


def _by_value(value: Any) -> Any:
    if isinstance(value, list):
        return [_by_value(entry) for entry in value]
    return {"value": value["value"]} if isinstance(value, dict) and "value" in value else value


@cache
def scim_service() -> Service:
    """Return the service. It holds no data, so a process needs one."""
    provider = scim.ScimProvider(
        models=[User, scim.EnterpriseUser, Group],
        resource_types=[
            scim.ResourceType.from_resource(User[scim.EnterpriseUser]),
            scim.ResourceType.from_resource(Group),
        ],
        config=_config(),
        policy=_policy(),
    )
    return Service(provider)


def _config() -> scim.ServiceProviderConfig:
    return scim.ServiceProviderConfig(
        patch=scim.Patch(supported=True),
        bulk=scim.Bulk(supported=False, max_operations=0, max_payload_size=0),
        filter=scim.Filter(supported=True, max_results=MAX_PAGE),
        change_password=scim.ChangePassword(supported=False),
        sort=scim.Sort(supported=False),
        etag=scim.ETag(supported=True),
        authentication_schemes=[
            scim.AuthenticationScheme(
                type=scim.AuthenticationScheme.Type.oauthbearertoken,
                name="Bearer token",
                description="A token that an account admin creates on the Provisioning page.",
                primary=True,
            )
        ],
    )


def _policy() -> scim.ScimPolicy:
    """Accept what Entra ID sends: attributes of its own, and members to remove as a value."""
    return scim.ScimPolicy(
        unknown=scim.ScimPolicy.Unknown.ignore,
        remove_value_as_filter=scim.ScimPolicy.RemoveValue.apply,
        unmatched_path_filter=scim.ScimPolicy.UnmatchedPathFilter.create,
    )
