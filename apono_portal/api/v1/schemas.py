"""What the operations take and return."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from ninja import Field, Schema
from pydantic import ConfigDict

from accessflows.flows.files.plan import Missing
from requests_app.submission.selection import MAX_TARGETS

MAX_ID = 2**63 - 1
NO_NUL = r"^[^\x00]*$"  # PostgreSQL stores none
MAX_DOCUMENT = 524_288  # characters of a file of access flows
MAX_PLAN = 2_097_152

Id = Annotated[int, Field(ge=1, le=MAX_ID)]
Cursor = Annotated[int | None, Field(ge=1, le=MAX_ID)]
PageNumber = Annotated[int, Field(ge=1, le=100_000)]
ShortText = Annotated[str, Field(max_length=320, pattern=NO_NUL)]
LongText = Annotated[str, Field(max_length=5000, pattern=NO_NUL)]
Filter = Annotated[str, Field(max_length=100, pattern=NO_NUL)]
IdempotencyKey = Annotated[str | None, Field(min_length=1, max_length=255)]


class Body(Schema):
    """A body: what it does not know is refused."""

    model_config = ConfigDict(extra="forbid")


class ProblemOut(Schema):
    """An error (RFC 9457). ``code`` is for programs, ``detail`` for people."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    step_up_url: str | None = None
    scope: str | None = None
    field: str | None = None
    errors: list[dict[str, str]] | None = None


class TargetOut(Schema):
    integration: str
    resource: str
    permission: str


class FlowSummaryOut(Schema):
    id: int
    name: str
    break_glass: bool
    require_mfa: bool
    mfa_strength: str
    verify_every_request: bool
    approval: str
    approvers: list[str]
    max_duration_s: int
    agents: str = Field(description="What AI agents may do: none, request or reveal")
    require_justification: bool
    require_ticket: bool
    ticket_pattern: str


class InventoryItemOut(TargetOut):
    """Something that may be requested. Its ``id`` goes into the ``targets`` of a request."""

    id: int
    integration_id: int
    integration_kind: str
    description: str
    flow: FlowSummaryOut


class InventoryOut(Schema):
    items: list[InventoryItemOut]
    next_page: int | None


class DryRunIn(Body):
    targets: list[Id] = Field(min_length=1, max_length=MAX_TARGETS)
    duration: ShortText = Field(description="Such as 45m, 2h or 1:30")
    justification: LongText | None = None
    ticket: ShortText = ""


class RequestIn(Body):
    targets: list[Id] = Field(min_length=1, max_length=MAX_TARGETS)
    duration: ShortText = Field(description="Such as 45m, 2h or 1:30")
    justification: LongText = ""
    ticket: ShortText = ""


class AgainIn(Body):
    justification: LongText = ""
    ticket: ShortText = ""


class ExtendIn(Body):
    extensions_used: int = Field(
        ge=0, le=99_999, description="As the request shows it, so that a repeated call extends once"
    )


class RefusalOut(Schema):
    field: str
    detail: str


class StepOut(Schema):
    title: str
    detail: str


class DryRunPartOut(Schema):
    """What a request through one flow would lead to. ``status`` is null if it would be refused."""

    flow_id: int
    flow: str
    targets: list[str]
    duration_s: int
    max_duration_s: int | None
    status: str | None
    needs_verification: bool
    refusals: list[RefusalOut]
    steps: list[StepOut]


class DryRunOut(Schema):
    requests: list[DryRunPartOut]


class RequestOut(Schema):
    id: int
    reference: str
    url: str
    status: str
    flow_id: int | None
    flow: str
    requester: str
    targets: list[TargetOut]
    duration_s: int
    justification: str
    ticket: str
    break_glass: bool
    require_mfa: bool
    verified_at: datetime | None
    token: str = Field(description="Name of the API token it was made with, or empty")
    by_agent: bool = Field(description="Whether that token is an AI agent's")
    message: str
    created_at: datetime
    pending_until: datetime | None
    starts_at: datetime | None
    ends_at: datetime | None
    ended_at: datetime | None
    extensions_used: int
    extensions_left: int
    step_up_url: str | None = Field(
        description="Where you verify in a browser, if the request waits for that"
    )


class GrantOut(Schema):
    """Access to one target. ``can_reveal`` turns false once its credential was shown."""

    id: UUID
    request_id: int
    request: str
    integration: str
    integration_kind: str
    resource: str
    permission: str
    status: str
    login: str
    expires_at: datetime
    can_reveal: bool
    can_reset: bool


class DecisionOut(Schema):
    verdict: str
    approver: str
    reason: str
    at: datetime


class RequestDetailOut(RequestOut):
    grants: list[GrantOut]
    decisions: list[DecisionOut]


class RequestPageOut(Schema):
    items: list[RequestOut]
    next_cursor: int | None


class SubmittedOut(Schema):
    """The requests created, one for each flow."""

    requests: list[RequestOut]
    step_up_url: str | None


class GrantsOut(Schema):
    items: list[GrantOut]


class CredentialOut(Schema):
    """A credential, shown this once. With a certificate, the password is its private key."""

    grant_id: UUID
    integration_kind: str
    host: str
    port: int
    database: str
    user: str
    password: str
    certificate: str
    known_hosts: str
    sslmode: str
    command: str


class ReviewOut(Schema):
    """A request to decide on. ``fingerprint`` and ``digest`` bind a decision to what is shown here."""

    request: RequestOut
    rights: dict[str, list[str]]
    needs_verification: bool
    reason_required: bool
    fingerprint: str
    digest: str


class QueueOut(Schema):
    items: list[ReviewOut]


class DecisionIn(Body):
    reason: LongText = ""
    fingerprint: str = Field(min_length=1, max_length=64, pattern=NO_NUL)
    digest: str = Field(min_length=1, max_length=64, pattern=NO_NUL)


class FlowOut(FlowSummaryOut):
    description: str
    is_active: bool
    version: int
    managed_by_file: str = Field(description="Name of the file that manages it, or empty")
    requesters: list[str]
    targets: list[TargetOut]
    max_extensions: int
    extension_duration_s: int


class FlowPageOut(Schema):
    items: list[FlowOut]
    next_page: int | None


class FlowFileOut(Schema):
    document: str = Field(description="YAML, as docs/flows.schema.json describes it")


class PlanIn(Body):
    """A file of access flows; ``missing`` says what to do with flows that it no longer contains."""

    document: Annotated[str, Field(max_length=MAX_DOCUMENT, pattern=NO_NUL)]
    file: Annotated[str, Field(min_length=1, max_length=200, pattern=NO_NUL)] = Field(
        description="Name to record; flows are managed by it"
    )
    commit: Annotated[str, Field(max_length=64, pattern=NO_NUL)] = ""
    missing: Missing = Missing.KEEP


class ApplyIn(Body):
    plan: Annotated[str, Field(max_length=MAX_PLAN, pattern=NO_NUL)] = Field(
        description="As planning returned it, to the letter"
    )


class FlowChangeOut(Schema):
    """What changes about a flow. ``weakened`` are sentences on what protects less afterwards."""

    flow: str
    actions: list[str]
    weakened: list[str]
    differences: list[dict[str, Any]]
    summary: list[str]
    reach: dict[str, int] | None
    gaining: dict[str, Any] | None
    losing: dict[str, Any] | None
    empty_groups: list[str]
    delegations: list[str]
    pending_cancelled: int
    active_revoked: int


class PlanOut(Schema):
    has_changes: bool
    file: str
    commit: str
    digest: str
    unchanged: int
    left_out: list[str]
    changes: list[FlowChangeOut]


class SignedPlanOut(PlanOut):
    """A plan. ``text`` is for people; ``plan`` is what applying takes."""

    text: str
    plan: str


class IntegrationOut(Schema):
    id: int
    name: str
    kind: str
    address: str
    is_active: bool
    health: str
    health_checked_at: datetime | None
    resources: int
    permissions: int


class IntegrationPageOut(Schema):
    items: list[IntegrationOut]
    next_page: int | None


class UserOut(Schema):
    id: int
    name: str
    email: str
    role: str
    is_active: bool
    mfa: bool
    groups: list[str]


class UserPageOut(Schema):
    items: list[UserOut]
    next_cursor: int | None


class GroupOut(Schema):
    id: int
    name: str
    active_members: int


class GroupPageOut(Schema):
    items: list[GroupOut]
    next_page: int | None


class EventOut(Schema):
    id: int
    at: datetime
    event: str
    label: str
    actor_id: int | None
    actor: str
    target_type: str
    target_id: str
    target: str
    request_id: int | None
    request: str
    address: str | None
    user_agent: str
    metadata: dict[str, Any]


class EventPageOut(Schema):
    items: list[EventOut]
    next_cursor: int | None


class ActivityPageOut(Schema):
    """Requests with evidence, decisions and proof, as in the export of the Activity page."""

    items: list[dict[str, Any]]
    next_cursor: int | None


class TokenOut(Schema):
    id: int
    name: str
    is_agent: bool
    scopes: list[str]
    expires_at: datetime


class MfaStateOut(Schema):
    enrolled: bool
    pending: list[str] = Field(description="References of the requests that wait for verification")
    step_up_url: str


class MeOut(Schema):
    id: int
    name: str
    email: str
    role: str
    token: TokenOut
    mfa: MfaStateOut
