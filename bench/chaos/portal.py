"""The portal's side of a run: people, flows, requests made through its services, credentials."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from django.db import connections

from accessflows.models import Integration
from accessflows.requesters import named
from apono_portal.core.web.client import SYSTEM
from apono_portal.users.models import Role, User
from bench.chaos.environment import BUILDER, Environment
from bench.chaos.judge import Credential
from bench.environment import InvalidRun, wait_until
from bench.portal_data import acting_without_mfa, add_flow, add_integration
from requests_app.deletion.lost_servers import close_grants_of_lost_server
from requests_app.exceptions import Conflict
from requests_app.grants.activation import begin_activation
from requests_app.grants.credentials import reveal_credential
from requests_app.grants.extension import MIN_REMAINING, extend_access
from requests_app.grants.revocation import revoke_access
from requests_app.models import AccessRequest, Grant, GrantState, Status
from tests.fixtures.submission import submit_request

MAX_DURATION = timedelta(hours=8)
POLL_S = 0.05
EXTENDABLE_S = MIN_REMAINING.total_seconds() + 5  # before its end access can be extended


class TooBusy(InvalidRun):
    """The machine was slower than measured; with more time the scenario can be repeated."""


class Portal:
    """One requester, one admin, and a flow for each way to the target."""

    def __init__(self, environment: Environment, proxy_port: int) -> None:
        """``reader`` and ``builder`` lead straight to the target, ``proxied`` through the proxy."""
        self.admin = User.objects.create_user(email="ada@example.org", name="Ada", role=Role.ADMIN)
        self.requester = User.objects.create_user(email="max@example.org", name="Max")
        target = environment.target
        broker = {"host": target.host, "broker": target.user, "password": target.password}
        direct = add_integration(self.admin, name="target", port=target.port, **broker)
        proxied = add_integration(self.admin, name="proxied target", port=proxy_port, **broker)
        self.flows = {
            name: add_flow(
                self.admin, integration, name=name, resource="orders", permission=permission,
                max_duration=MAX_DURATION, requesters=named(users=[self.requester.pk]),
                max_extensions=1,
            )
            for name, integration, permission in (
                ("reader", direct, "orders_read"),
                ("builder", direct, BUILDER),
                ("proxied", proxied, "orders_read"),
            )
        }  # fmt: skip

    def submit(self, flow: str, *, ends_at: float | None = None) -> AccessRequest:
        """Make a request; with ``ends_at`` also begin its activation, so that it ends then."""
        duration = MAX_DURATION
        if ends_at is not None:
            duration = datetime.fromtimestamp(ends_at, UTC) - datetime.now(UTC)
        request = submit_request(
            actor=self.requester, flow=self.flows[flow], duration=duration, window=None,
            target_ids=[self.flows[flow].targets.get().pk], justification="Look into the failed import.",
        )  # fmt: skip
        if ends_at is not None:
            begin_activation(request_pk=request.pk)
        return request

    def wait_active(self, requests: Sequence[AccessRequest], timeout_s: float) -> list[Grant]:
        pks = [request.pk for request in requests]
        active = AccessRequest.objects.filter(pk__in=pks, status=Status.ACTIVE)
        if not wait_until(lambda: active.count() == len(pks), timeout_s=timeout_s):
            others = AccessRequest.objects.filter(pk__in=pks).exclude(status=Status.ACTIVE)
            fields = ("pk", "status", "message", "grants__attempts", "grants__last_error")
            raise InvalidRun(f"Not active: {list(others.values_list(*fields))}")
        grants = Grant.objects.filter(request__in=pks)
        return list(grants.select_related("request", "integration").order_by("pk"))

    def reveal(self, grants: Sequence[Grant]) -> list[Credential]:
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(self._reveal, grants))

    def _reveal(self, grant: Grant) -> Credential:
        try:
            shown = reveal_credential(actor=self.requester, grant=grant, window=None)
        except Conflict:
            raise TooBusy("Some expired before all were active.") from None
        finally:
            connections.close_all()
        return Credential(shown.user, shown.resource, shown.password)

    def extend(self, grants: Iterable[Grant]) -> None:
        for grant in grants:
            extend_access(actor=self.requester, request=grant.request, used=0, window=None)

    def end(self, grants: Iterable[Grant]) -> None:
        for grant in grants:
            revoke_access(actor=self.admin, request=grant.request)

    def close_lost(self, integration: Integration) -> int:
        """Close what is being revoked on a server that is gone, and return how many grants."""
        Integration.objects.filter(pk=integration.pk).update(is_active=False)
        try:
            with acting_without_mfa():
                return close_grants_of_lost_server(
                    actor=self.admin, window=None, integration=integration,
                    reason="The server was replaced.", client_info=SYSTEM,
                )  # fmt: skip
        finally:
            Integration.objects.filter(pk=integration.pk).update(is_active=True)

    def wait_ended(self, grants: Sequence[Grant], timeout_s: float) -> bool:
        remaining = Grant.objects.filter(pk__in=[grant.pk for grant in grants])
        remaining = remaining.exclude(state=GrantState.REMOVED)
        return wait_until(lambda: not remaining.exists(), timeout_s=timeout_s, interval_s=POLL_S)

    def wait_until_idle(self, timeout_s: float) -> None:
        wait_until(lambda: not Grant.objects.live().exists(), timeout_s=timeout_s)
