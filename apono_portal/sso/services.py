"""Every write to identity providers, their domains and mappings, and to the break-glass admin."""

from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction
from django.utils.text import slugify

from accessflows.permissions import require_admin
from apono_portal.core.crypto import encryption
from apono_portal.core.web.client import SYSTEM, ClientInfo
from apono_portal.core.web.seen_state import CHANGED_MEANWHILE, digest_of
from apono_portal.core.web.ssrf_guard import SSO_NETWORKS, AddressRefused, check_url
from apono_portal.sso.exceptions import SsoError
from apono_portal.sso.models import ClaimMapping, IdentityProvider, SignInDomain
from apono_portal.users.models import Role, User
from apono_portal.users.services.users import GIVEN_IN_PORTAL
from audit.events import EventName
from audit.services import record
from mfa.verification.window import Window

TAKEN = "Another identity provider has this name or issuer."
DOMAIN_TAKEN = "This domain belongs to an identity provider already."
NO_BREAK_GLASS = "Choose a break-glass admin with a password first, so that nobody is locked out."


@dataclass(frozen=True)
class ProviderInput:
    """The fields of a provider. An empty ``secret`` keeps the stored one."""

    name: str
    issuer: str
    client_id: str
    colour: str
    scopes: str
    groups_claim: str
    accepted_acr: tuple[str, ...]
    is_active: bool
    secret: str = field(default="", repr=False)

    @property
    def plain_fields(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in _PLAIN_FIELDS}
        return values | {"accepted_acr": list(self.accepted_acr)}


_PLAIN_FIELDS = (
    *("name", "issuer", "client_id", "colour"),
    *("scopes", "groups_claim", "accepted_acr", "is_active"),
)


def create_provider(
    *, actor: User, window: Window | None, data: ProviderInput, client_info: ClientInfo
) -> IdentityProvider:
    """Add an identity provider. Nobody signs in through it before it has a domain."""
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        return _create(data, actor, client_info)


def change_provider(
    *,
    actor: User,
    window: Window | None,
    provider: IdentityProvider,
    data: ProviderInput,
    seen: str,
    client_info: ClientInfo,
) -> IdentityProvider:
    """Save a provider. ``seen`` is `provider_digest` of what was edited."""
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        provider = IdentityProvider.objects.select_for_update().get(pk=provider.pk)
        if provider_digest(provider) != seen:
            raise SsoError(CHANGED_MEANWHILE)
        return _change(provider, data, actor, client_info)


def configure_provider(*, data: ProviderInput, domains: tuple[str, ...]) -> IdentityProvider:
    """Add the provider that the environment describes, or bring it up to date. Adds missing domains."""
    with transaction.atomic():
        provider = IdentityProvider.objects.select_for_update().filter(issuer=data.issuer).first()
        if provider is None:
            provider = _create(data, None, SYSTEM)
        else:
            provider = _change(provider, data, None, SYSTEM)
        for domain in domains:
            if not provider.domains.filter(domain=domain).exists():
                _add_domain(provider, domain, None, SYSTEM)
    return provider


def delete_provider(
    *, actor: User, window: Window | None, provider: IdentityProvider, client_info: ClientInfo
) -> None:
    """Delete a provider with what connects users to it. Users and their groups stay."""
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        record(
            event=EventName.PROVIDER_DELETE,
            actor=actor,
            target=provider,
            client_info=client_info,
            metadata={"issuer": provider.issuer},
        )
        provider.delete()


def record_test(
    *, actor: User, provider: IdentityProvider, failure: str, client_info: ClientInfo
) -> None:
    """Record a test sign-in, and why it failed if it did."""
    record(
        event=EventName.PROVIDER_TEST,
        actor=actor,
        target=provider,
        client_info=client_info,
        metadata={"failure": failure} if failure else {},
    )


def add_domain(
    *,
    actor: User,
    window: Window | None,
    provider: IdentityProvider,
    domain: str,
    client_info: ClientInfo,
) -> SignInDomain:
    """Let a provider vouch for the users of an email domain."""
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        return _add_domain(provider, domain, actor, client_info)


def change_domain(
    *,
    actor: User,
    window: Window | None,
    domain: SignInDomain,
    creates_users: bool,
    is_enforced: bool,
    seen: str,
    client_info: ClientInfo,
) -> SignInDomain:
    """Save what a domain allows. Single sign-on is enforced only while a break-glass admin exists."""
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        domain = SignInDomain.objects.select_for_update().get(pk=domain.pk)
        if domain_digest(domain) != seen:
            raise SsoError(CHANGED_MEANWHILE)
        before = _switches(domain)
        if is_enforced and not domain.is_enforced and not break_glass_admins():
            raise SsoError(NO_BREAK_GLASS, field="is_enforced")
        domain.creates_users, domain.is_enforced = creates_users, is_enforced
        if before != _switches(domain):
            domain.save(update_fields=["creates_users", "is_enforced"])
            _record_domain(domain, actor, client_info, before=before, after=_switches(domain))
    return domain


def remove_domain(
    *, actor: User, window: Window | None, domain: SignInDomain, client_info: ClientInfo
) -> None:
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        _record_domain(domain, actor, client_info, removed=True)
        domain.delete()


def add_mapping(
    *,
    actor: User,
    window: Window | None,
    provider: IdentityProvider,
    value: str,
    group: Group | None,
    role: str,
    client_info: ClientInfo,
) -> ClaimMapping:
    """Map a value of the groups claim to a group or a role, from each user's next sign-in on.

    With ``DUAL_CONTROL`` not to the admin role, which a second admin confirms for each user.
    """
    if settings.DUAL_CONTROL and role == Role.ADMIN:
        raise SsoError(GIVEN_IN_PORTAL, field="becomes")
    try:
        with transaction.atomic():
            require_admin(actor=actor, window=window)
            mapping = ClaimMapping.objects.create(
                provider=provider, value=value, group=group, role=role
            )
            _record_mapping(mapping, actor, client_info, added=True)
    except IntegrityError:
        raise SsoError("This mapping exists already.", field="value") from None
    return mapping


def remove_mapping(
    *, actor: User, window: Window | None, mapping: ClaimMapping, client_info: ClientInfo
) -> None:
    """Remove a mapping. What it gave is taken away at each user's next sign-in."""
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        _record_mapping(mapping, actor, client_info, added=False)
        mapping.delete()


def choose_break_glass_admin(
    *, actor: User, window: Window | None, user: User | None, client_info: ClientInfo
) -> None:
    """Let one admin keep the password where single sign-on is enforced. None is for nobody."""
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        if user is None and SignInDomain.objects.filter(is_enforced=True).exists():
            raise SsoError("Single sign-on is enforced: one break-glass admin has to remain.")
        if user and not (user.is_account_admin and user.has_usable_password()):
            raise SsoError("Choose an active admin who has a password.", field="user")
        before = list(User.objects.filter(is_break_glass=True).select_for_update())
        User.objects.filter(is_break_glass=True).update(is_break_glass=False)
        if user:
            User.objects.filter(pk=user.pk).update(is_break_glass=True)
        record(
            event=EventName.PROVIDER_BREAK_GLASS,
            actor=actor,
            target=user,
            client_info=client_info,
            metadata={"before": [str(admin) for admin in before]},
        )


def break_glass_admins() -> list[User]:
    """Return the admins who could sign in now whatever happens to the providers."""
    admins = User.objects.account_admins().filter(is_break_glass=True)
    return [admin for admin in admins if admin.has_usable_password()]


def provider_digest(provider: IdentityProvider) -> str:
    """Return the digest of what can be changed of a provider."""
    return digest_of({name: getattr(provider, name) for name in _PLAIN_FIELDS})


def domain_digest(domain: SignInDomain) -> str:
    """Return the digest of what can be changed of a domain."""
    return digest_of(_switches(domain))


def _create(data: ProviderInput, actor: User | None, client_info: ClientInfo) -> IdentityProvider:
    provider = IdentityProvider(slug=_free_slug(data.name))
    _set_fields(provider, data)
    _save_once(provider)
    record(
        event=EventName.PROVIDER_CREATE,
        actor=actor,
        target=provider,
        client_info=client_info,
        metadata=data.plain_fields,
    )
    return provider


def _change(
    provider: IdentityProvider, data: ProviderInput, actor: User | None, client_info: ClientInfo
) -> IdentityProvider:
    changes: dict[str, Any] = {
        name: {"from": getattr(provider, name), "to": value}
        for name, value in data.plain_fields.items()
        if getattr(provider, name) != value
    }
    if data.secret and data.secret != _stored_secret(provider):
        changes["secret"] = "replaced"
    if changes:
        _set_fields(provider, data)
        provider.version += 1
        _save_once(provider)
        record(
            event=EventName.PROVIDER_CHANGE,
            actor=actor,
            target=provider,
            client_info=client_info,
            metadata={"changes": changes},
        )
    return provider


def _stored_secret(provider: IdentityProvider) -> str:
    """Return the secret, "" if it does not decrypt and has to be replaced."""
    try:
        return provider.secret
    except encryption.DecryptionFailed:
        return ""


def _set_fields(provider: IdentityProvider, data: ProviderInput) -> None:
    try:
        check_url(data.issuer, SSO_NETWORKS)
    except AddressRefused as refused:
        raise SsoError(refused.sentence, field="issuer") from None
    for name, value in data.plain_fields.items():
        setattr(provider, name, value)
    if data.secret:
        provider.encrypted_secret = encryption.encrypt(
            data.secret.encode(), purpose=encryption.CLIENT_SECRET, owner=provider.secret_id
        )


def _save_once(provider: IdentityProvider) -> None:
    try:
        with transaction.atomic():
            provider.save()
    except IntegrityError:
        raise SsoError(TAKEN, field="name") from None


def _free_slug(name: str) -> str:
    """Return a slug that no provider has: the address outlives the name."""
    stem = slugify(name)[:50] or "provider"
    taken = set(IdentityProvider.objects.values_list("slug", flat=True))
    numbered = (f"{stem}-{number}" for number in range(2, len(taken) + 3))
    return next(slug for slug in (stem, *numbered) if slug not in taken)


def _add_domain(
    provider: IdentityProvider, domain: str, actor: User | None, client_info: ClientInfo
) -> SignInDomain:
    try:
        with transaction.atomic():
            row = SignInDomain.objects.create(provider=provider, domain=domain)
    except IntegrityError:
        raise SsoError(DOMAIN_TAKEN, field="domain") from None
    _record_domain(row, actor, client_info, added=True)
    return row


def _switches(domain: SignInDomain) -> dict[str, bool]:
    return {"creates_users": domain.creates_users, "is_enforced": domain.is_enforced}


def _record_domain(
    domain: SignInDomain, actor: User | None, client_info: ClientInfo, **metadata: Any
) -> None:
    record(
        event=EventName.PROVIDER_CHANGE_DOMAIN,
        actor=actor,
        target=domain.provider,
        client_info=client_info,
        metadata={"domain": domain.domain, **metadata},
    )


def _record_mapping(
    mapping: ClaimMapping, actor: User, client_info: ClientInfo, *, added: bool
) -> None:
    record(
        event=EventName.PROVIDER_CHANGE_MAPPING,
        actor=actor,
        target=mapping.provider,
        client_info=client_info,
        metadata={
            "value": mapping.value,
            "group": str(mapping.group or ""),
            "role": mapping.role,
            "added": added,
        },
    )
