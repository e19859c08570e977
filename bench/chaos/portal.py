"""The portal's side of a run: people, flows, requests made through its services, credentials shown."""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connections

from accessflows.flows.services import create_flow
from accessflows.flows.terms import FlowInput
from accessflows.integrations.checks import check_integration
from accessflows.integrations.services import create_integration
from accessflows.integrations.terms import IntegrationInput
from accessflows.models import AccessFlow, Integration, Permission, Resource
from apono_portal.core.web.client import SYSTEM
from apono_portal.users.models import Role, User
from bench.chaos.ground import BUILDER, Ground
from bench.chaos.judge import Key
from requests_app.exceptions import Conflict
from requests_app.grants.activation import begin_activation
from requests_app.grants.credentials import reveal_credential
from requests_app.grants.revocation import revoke_access
from requests_app.models import AccessRequest, Grant, GrantState, Status
from requests_app.submission.evaluation import RequestDraft, Words
from requests_app.submission.services import submit_requests

DAY = timedelta(hours=8)


class Unexpected(Exception):
    """Something a run relies on did not work; its figures would mean nothing."""


class TooBusy(Unexpected):
    """The machine was slower than it had been; with more time the scenario can be played again."""


@dataclass
class Portal:
    """One requester, one admin, and a flow for each way to the target."""

    requester: User
    admin: User
    flows: dict[str, AccessFlow]

    @classmethod
    def fill(cls, ground: Ground, line_port: int) -> "Portal":
        """``reader`` and ``builder`` lead straight to the target, ``far`` over the line."""
        admin = User.objects.create_user(email="ada@example.org", name="Ada", role=Role.ADMIN)
        requester = User.objects.create_user(email="max@example.org", name="Max")
        near = _integration(admin, ground, "target", ground.target.port)
        far = _integration(admin, ground, "target over the line", line_port)
        flows = {
            "reader": _flow(admin, requester, near, "reader", "orders_read"),
            "builder": _flow(admin, requester, near, "builder", BUILDER),
            "far": _flow(admin, requester, far, "far", "orders_read"),
        }
        return cls(requester, admin, flows)

    def ask(
        self, flow: str, *, ends_at: float | None = None, duration: timedelta = DAY
    ) -> AccessRequest:
        """Make a request; with ``ends_at`` also its intent, so that it ends at that moment."""
        if ends_at is not None:
            duration = datetime.fromtimestamp(ends_at, UTC) - datetime.now(UTC)
        chosen = self.flows[flow]
        targets = frozenset(chosen.targets.values_list("pk", flat=True))
        [request] = submit_requests(
            actor=self.requester,
            drafts=[RequestDraft(chosen, targets, duration)],
            words=Words("Look into the failed import."),
            window=None,
        )
        if ends_at is not None:
            begin_activation(request_pk=request.pk)
        return request

    def grants_of(self, requests: Iterable[AccessRequest]) -> list[Grant]:
        found = Grant.objects.filter(request__in=[request.pk for request in requests])
        return list(found.select_related("request", "integration").order_by("pk"))

    def wait_active(self, requests: Sequence[AccessRequest], patience_s: float) -> list[Grant]:
        pks = [request.pk for request in requests]
        active = AccessRequest.objects.filter(pk__in=pks, status=Status.ACTIVE)
        if not until(lambda: active.count() == len(pks), patience_s):
            others = AccessRequest.objects.filter(pk__in=pks).exclude(status=Status.ACTIVE)
            raise Unexpected(
                f"Not opened: {[(r.reference, r.status, r.message) for r in others[:3]]}"
            )
        return self.grants_of(requests)

    def reveal(self, grants: Sequence[Grant]) -> list[Key]:
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(self._reveal, grants))

    def _reveal(self, grant: Grant) -> Key:
        try:
            shown = reveal_credential(actor=self.requester, grant=grant, window=None)
        except Conflict:
            raise TooBusy("Some ended before all were open.") from None
        finally:
            connections.close_all()
        return Key(shown.user, shown.database, shown.password)

    def wait_quiet(self, patience_s: float) -> bool:
        """Until nothing that was opened is left."""
        return until(lambda: not Grant.objects.live().exists(), patience_s)

    def end(self, grants: Iterable[Grant]) -> None:
        for grant in grants:
            revoke_access(actor=self.admin, request=grant.request)

    def wait_ended(self, grants: Sequence[Grant], patience_s: float) -> bool:
        pks = [grant.pk for grant in grants]
        left = Grant.objects.filter(pk__in=pks).exclude(state=GrantState.REMOVED)
        return until(lambda: not left.exists(), patience_s)


def until(condition: Callable[[], bool], patience_s: float) -> bool:
    give_up_at = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > give_up_at:
            return False
        time.sleep(0.05)
    return True


def _integration(admin: User, ground: Ground, name: str, port: int) -> Integration:
    terms = IntegrationInput(
        name=name,
        host=ground.target.host,
        port=port,
        broker=ground.target.user,
        password=ground.target.password,
        sslmode=Integration.SslMode.DISABLE,
    )
    integration = create_integration(actor=admin, window=None, terms=terms, client_info=SYSTEM)
    inspect_target = check_integration(actor=admin, integration=integration, client_info=SYSTEM)
    if inspect_target.inventory is None:
        raise Unexpected(
            f"The target does not answer: {[c.sentence for c in inspect_target.checks]}"
        )
    return integration


def _flow(
    admin: User, requester: User, integration: Integration, name: str, permission: str
) -> AccessFlow:
    resource = Resource.objects.get(integration=integration, name="orders")
    role = Permission.objects.get(integration=integration, name=permission)
    terms = FlowInput(
        name=name,
        requester_users=frozenset({requester.pk}),
        targets=frozenset({(resource.pk, role.pk)}),
        max_duration=DAY,
    )
    return create_flow(actor=admin, window=None, terms=terms, client_info=SYSTEM)
