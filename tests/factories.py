"""Rows for tests, each with only what it cannot do without.

flow = AccessFlowFactory(require_mfa=True, requester_users=[user], targets=1)
authenticator = AuthenticatorFactory(user=user)
code_for(authenticator)  # the six digits of this moment, by an independent authenticator
"""

import base64
import secrets
import uuid
from datetime import datetime, timedelta

import factory
import pyotp
from django.contrib.auth.models import Group
from django.utils import timezone

from accessflows.models import (
    AccessFlow,
    FlowTarget,
    Integration,
    Permission,
    RequesterValue,
    Resource,
)
from apono_portal.api.models import ApiToken
from apono_portal.api.scopes import Scope
from apono_portal.api.tokens.secrets import SHOWN_LENGTH, hash_of, new_secret
from apono_portal.core.crypto import encryption
from apono_portal.notifications.kinds import WEBHOOK_KINDS
from apono_portal.notifications.models import Webhook
from apono_portal.sso.models import IdentityProvider
from apono_portal.users.models import Role, User
from mfa.models import Authenticator, Method, MfaState, Outcome, Passkey, Verification
from mfa.verification.window import Window
from requests_app.lifecycle import sign_request
from requests_app.models import (
    AccessRequest,
    Decision,
    Grant,
    GrantState,
    RequestedTarget,
    Status,
)

PASSWORD = "correct-horse-battery-staple"
BROKER_PASSWORD = "broker-password-of-the-tests"


class UserFactory(factory.django.DjangoModelFactory):
    """A member with the password `PASSWORD`. ``groups=[...]`` joins them."""

    class Meta:
        model = User
        skip_postgeneration_save = True

    name = factory.Sequence(lambda n: f"Person {n}")
    email = factory.Sequence(lambda n: f"person{n}@example.org")
    role = Role.MEMBER

    class Params:
        admin = factory.Trait(role=Role.ADMIN)
        auditor = factory.Trait(role=Role.AUDITOR)

    @classmethod
    def _create(cls, model_class, *args, password=PASSWORD, **kwargs):
        return model_class.objects.create_user(*args, password=password, **kwargs)

    @factory.post_generation
    def groups(self, create, extracted):
        if extracted:
            self.groups.set(extracted)


class GroupFactory(factory.django.DjangoModelFactory):
    """A group. ``members=[...]`` fills it."""

    class Meta:
        model = Group
        skip_postgeneration_save = True

    name = factory.Sequence(lambda n: f"Group {n}")

    @factory.post_generation
    def members(self, create, extracted):
        if extracted:
            self.user_set.set(extracted)


class IntegrationFactory(factory.django.DjangoModelFactory):
    """An active PostgreSQL integration. ``password`` is stored encrypted."""

    class Meta:
        model = Integration

    name = factory.Sequence(lambda n: f"postgres-{n}")
    host = "127.0.0.1"
    port = 1
    broker = "broker"
    sslmode = Integration.SslMode.PREFER
    health = Integration.Health.HEALTHY

    @classmethod
    def _create(cls, model_class, *args, password=BROKER_PASSWORD, **kwargs):
        integration = model_class(*args, **kwargs)
        integration.encrypted_password = encryption.encrypt(
            password.encode(), purpose=encryption.BROKER_PASSWORD, owner=integration.secret_id
        )
        integration.save(force_insert=True)
        return integration


class ResourceFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Resource

    integration = factory.SubFactory(IntegrationFactory)
    name = factory.Sequence(lambda n: f"database_{n}")


class PermissionFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Permission

    integration = factory.SubFactory(IntegrationFactory)
    name = factory.Sequence(lambda n: f"capability_{n}")


class FlowTargetFactory(factory.django.DjangoModelFactory):
    """Resource and permission of one integration."""

    class Meta:
        model = FlowTarget

    flow = factory.SubFactory("tests.factories.AccessFlowFactory")
    resource = factory.SubFactory(ResourceFactory)
    permission = factory.LazyAttribute(
        lambda target: PermissionFactory(integration=target.resource.integration)
    )


class AccessFlowFactory(factory.django.DjangoModelFactory):
    """An active, automatic flow without MFA.

    ``targets=2`` makes that many; ``requester_users``, ``requester_groups``, ``approver_users`` and
    ``approver_groups`` take lists. The fingerprint is taken last, as a saved flow's is.
    """

    class Meta:
        model = AccessFlow
        skip_postgeneration_save = True

    name = factory.Sequence(lambda n: f"Flow {n}")
    max_duration = timedelta(hours=8)
    version = 1
    fingerprint = "0" * 64

    @factory.post_generation
    def requester_users(self, create, extracted):
        if extracted:
            set_requesters(self, users=extracted, groups=requester_groups_of(self))

    @factory.post_generation
    def requester_groups(self, create, extracted):
        if extracted:
            set_requesters(self, users=requester_users_of(self), groups=extracted)

    @factory.post_generation
    def requesters(self, create, extracted):
        """Set conditions as `accessflows.requesters.Sets`."""
        if extracted:
            from accessflows.flows.services import write_requesters

            write_requesters(flow=self, sets=extracted)

    @factory.post_generation
    def approver_users(self, create, extracted):
        if extracted:
            self.approver_users.set(extracted)

    @factory.post_generation
    def approver_groups(self, create, extracted):
        if extracted:
            self.approver_groups.set(extracted)

    @factory.post_generation
    def targets(self, create, extracted):
        for _ in range(extracted or 0):
            FlowTargetFactory(flow=self)

    @factory.post_generation
    def fingerprint_taken(self, create, extracted):
        take_fingerprint(self)


def set_requesters(flow: AccessFlow, *, users=(), groups=()) -> None:
    """Make these users and groups the requesters of a flow, by name."""
    from accessflows.flows.services import write_requesters
    from accessflows.requesters import named

    sets = named(users=[user.pk for user in users], groups=[group.pk for group in groups])
    write_requesters(flow=flow, sets=sets)


def requester_users_of(flow: AccessFlow):
    """Return the users a flow names as requesters, in order of their ids."""
    named = RequesterValue.objects.filter(condition__flow=flow)
    return User.objects.filter(pk__in=named.values("user")).order_by("pk")


def requester_groups_of(flow: AccessFlow):
    named = RequesterValue.objects.filter(condition__flow=flow)
    return Group.objects.filter(pk__in=named.values("group")).order_by("pk")


def take_fingerprint(flow: AccessFlow) -> None:
    """Store the fingerprint of the flow as it is now, as saving it on the page does."""
    from accessflows.flows.fingerprint import fingerprint_of, terms_of

    flow.fingerprint = fingerprint_of(terms_of(flow))
    flow.save(update_fields=["fingerprint"])


class AuthenticatorFactory(factory.django.DjangoModelFactory):
    """A confirmed authenticator app whose secret the test knows: ``authenticator.secret``."""

    class Meta:
        model = Authenticator

    user = factory.SubFactory(UserFactory)
    name = "Authentication app"
    confirmed = True

    @classmethod
    def _create(cls, model_class, *args, secret=None, **kwargs):
        secret = secret or secrets.token_bytes(20)
        user = kwargs["user"]
        MfaState.objects.get_or_create(user=user)
        key = encryption.encrypt(secret, purpose=encryption.TOTP_KEY, owner=user.pk)
        authenticator = model_class.objects.create(*args, key=key, **kwargs)
        authenticator.secret = secret
        return authenticator


def code_for(authenticator: Authenticator, at: datetime | None = None) -> str:
    """The code an independent authenticator app shows at a moment, now unless told."""
    totp = pyotp.TOTP(base64.b32encode(authenticator.secret).decode())
    return totp.at(at or timezone.now())


class SignedFactory(factory.django.DjangoModelFactory):
    """Makes rows with the MAC that the services give them."""

    class Meta:
        abstract = True

    @classmethod
    def _create(cls, model_class, *args, **kwargs):
        row = model_class(*args, **kwargs)
        row.sign().save(force_insert=True)
        return row


def sign(*rows) -> None:
    """Sign rows again that a test has changed where no service does."""
    for row in rows:
        row.refresh_from_db()
        row.sign().save(update_fields=["mac"])


class PasskeyFactory(SignedFactory):
    """A device-bound passkey that counts, unless it is new."""

    class Meta:
        model = Passkey

    user = factory.SubFactory(UserFactory)
    name = "Security key"
    credential_id = factory.LazyFunction(lambda: secrets.token_urlsafe(32))
    public_key = "cHVibGlj"
    sign_count = 0
    user_handle = "aGFuZGxl"
    rp_id = "localhost"
    is_device_bound = True
    is_backed_up = False
    created_at = factory.LazyFunction(lambda: timezone.now() - timedelta(days=2))

    @classmethod
    def _create(cls, model_class, *args, **kwargs):
        MfaState.objects.get_or_create(user=kwargs["user"])
        return super()._create(model_class, *args, **kwargs)


class VerificationFactory(SignedFactory):
    """A success with the person's confirmed authenticator, which is made if there is none.

    ``passkey=...`` makes it one with that passkey.
    """

    class Params:
        passkey = None

    class Meta:
        model = Verification

    user = factory.SubFactory(UserFactory)
    outcome = Outcome.OK
    device_name = "Authentication app"

    @factory.lazy_attribute
    def epoch(self):
        return MfaState.objects.get_or_create(user=self.user)[0].epoch

    @factory.lazy_attribute
    def method(self):
        return Method.PASSKEY if self.passkey else Method.CODE

    @factory.lazy_attribute
    def device_id(self):
        if self.passkey:
            return self.passkey.pk
        device = Authenticator.objects.confirmed().filter(user=self.user).first()
        return (device or AuthenticatorFactory(user=self.user)).pk


def fresh_window(user: User) -> Window:
    """A window the user has just opened, as the services of admins need it."""
    return window_of(VerificationFactory(user=user))


def window_of(verification: Verification) -> Window:
    """The window that a success opens."""
    user = User.objects.select_related("mfa_state").get(pk=verification.user_id)
    return Window(
        user_id=user.pk,
        device_id=verification.device_id,
        epoch=verification.epoch,
        verified_at=verification.at,
        verification_id=verification.pk,
        auth=user.get_session_auth_hash(),
    )


class AccessRequestFactory(factory.django.DjangoModelFactory):
    """A request with its terms taken from the flow. Protected ones get evidence unless pending_mfa."""

    class Meta:
        model = AccessRequest
        skip_postgeneration_save = True

    requester = factory.SubFactory(UserFactory)
    requester_label = factory.LazyAttribute(lambda request: str(request.requester))
    flow = factory.LazyAttribute(
        lambda request: AccessFlowFactory(requester_users=[request.requester], targets=1)
    )
    flow_name = factory.SelfAttribute("flow.name")
    flow_version = factory.SelfAttribute("flow.version")
    flow_fingerprint = factory.SelfAttribute("flow.fingerprint")
    require_mfa = factory.SelfAttribute("flow.require_mfa")
    break_glass = factory.SelfAttribute("flow.break_glass")
    agents = factory.SelfAttribute("flow.agents")
    approval = factory.SelfAttribute("flow.approval")
    max_duration = factory.SelfAttribute("flow.max_duration")
    approvals_required = factory.SelfAttribute("flow.approvals_required")
    max_extensions = factory.SelfAttribute("flow.max_extensions")
    extension_duration = factory.SelfAttribute("flow.extension_duration")
    duration = timedelta(hours=1)
    justification = "Look into the failed import, OPS-1."
    status = Status.GRANTING

    @factory.lazy_attribute
    def pending_until(self):
        pending = (Status.PENDING_MFA, Status.PENDING_APPROVAL, Status.GRANTING)
        return timezone.now() + timedelta(hours=1) if self.status in pending else None

    @factory.lazy_attribute
    def starts_at(self):
        return timezone.now() if self.status in (Status.ACTIVE, Status.REVOKING) else None

    @factory.lazy_attribute
    def ends_at(self):
        return self.starts_at + self.duration if self.starts_at else None

    @factory.lazy_attribute
    def verification(self):
        if not self.require_mfa or self.status == Status.PENDING_MFA:
            return None
        return VerificationFactory(user=self.requester)

    mfa_strength = factory.SelfAttribute("flow.mfa_strength")
    verify_every_request = factory.SelfAttribute("flow.verify_every_request")
    verified_method = factory.LazyAttribute(
        lambda r: r.verification.method if r.verification else ""
    )
    verified_at = factory.LazyAttribute(lambda r: r.verification.at if r.verification else None)
    verified_with = factory.LazyAttribute(
        lambda r: r.verification.device_name if r.verification else ""
    )

    @factory.post_generation
    def targets(self, create, extracted):
        """One row for each target of the flow."""
        for target in self.flow.targets.select_related("resource__integration", "permission"):
            RequestedTarget.of(self, target).save()
        sign_request(self)


class DecisionFactory(SignedFactory):
    class Meta:
        model = Decision

    request = factory.SubFactory(AccessRequestFactory)
    approver = factory.SubFactory(UserFactory)
    approver_label = factory.LazyAttribute(lambda decision: str(decision.approver))
    verdict = Decision.Verdict.APPROVE
    fingerprint = factory.SelfAttribute("request.flow_fingerprint")

    @factory.lazy_attribute
    def verification(self):
        return VerificationFactory(user=self.approver) if self.request.require_mfa else None


class GrantFactory(SignedFactory):
    """A grant for the request's first target."""

    class Meta:
        model = Grant

    request = factory.SubFactory(AccessRequestFactory, status=Status.ACTIVE)
    integration = factory.LazyAttribute(lambda grant: grant.request.targets.first().integration)
    integration_name = factory.LazyAttribute(lambda grant: grant.integration.name)
    resource = factory.LazyAttribute(lambda grant: grant.request.targets.first().resource)
    permission = factory.LazyAttribute(lambda grant: grant.request.targets.first().permission)
    state = GrantState.ACTIVE
    deadline = factory.LazyAttribute(
        lambda grant: grant.request.ends_at or timezone.now() + grant.request.duration
    )


class TokenFactory(SignedFactory):
    """An API token of every scope, for 30 days. ``secret=...`` makes it one that the test can send."""

    class Params:
        secret = factory.LazyFunction(new_secret)

    class Meta:
        model = ApiToken

    user = factory.SubFactory(UserFactory)
    name = "laptop"
    scopes = factory.LazyFunction(lambda: sorted(Scope))
    prefix = factory.LazyAttribute(lambda token: token.secret[:SHOWN_LENGTH])
    token_hash = factory.LazyAttribute(lambda token: hash_of(token.secret))
    expires_at = factory.LazyFunction(lambda: timezone.now() + timedelta(days=30))

    @factory.lazy_attribute
    def epoch(self):
        return MfaState.objects.get_or_create(user=self.user)[0].epoch


class WebhookFactory(factory.django.DjangoModelFactory):
    """A webhook for every kind of event. ``url`` and ``secret`` are stored encrypted."""

    class Meta:
        model = Webhook

    name = factory.Sequence(lambda n: f"webhook-{n}")
    kinds = factory.LazyFunction(lambda: [kind.value for kind in WEBHOOK_KINDS])
    host = "127.0.0.1"

    @classmethod
    def _create(cls, model_class, *args, url="https://hooks.example.org/x", secret=None, **kwargs):
        webhook = model_class(*args, **kwargs)
        secret = secret or "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        webhook.encrypted_url = encryption.encrypt(
            url.encode(), purpose=encryption.WEBHOOK_ADDRESS, owner=webhook.secret_id
        )
        webhook.encrypted_secret = encryption.encrypt(
            secret.encode(), purpose=encryption.WEBHOOK_SECRET, owner=webhook.secret_id
        )
        webhook.save(force_insert=True)
        return webhook


class IdentityProviderFactory(factory.django.DjangoModelFactory):
    """A provider with the client of the tests. ``domains=["halden.example"]`` creates accounts there."""

    class Meta:
        model = IdentityProvider
        skip_postgeneration_save = True

    slug = factory.Sequence(lambda n: f"provider-{n}")
    name = factory.Sequence(lambda n: f"Provider {n}")
    issuer = factory.Sequence(lambda n: f"https://idp-{n}.example")
    client_id = "portal"
    secret_id = factory.LazyFunction(uuid.uuid4)
    encrypted_secret = factory.LazyAttribute(
        lambda row: encryption.encrypt(
            b"client-secret-of-the-tests", purpose=encryption.CLIENT_SECRET, owner=row.secret_id
        )
    )

    @factory.post_generation
    def domains(self, create, extracted):
        for domain in extracted or ():
            self.domains.create(domain=domain, creates_users=True)
