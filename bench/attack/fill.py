"""Fill a campaign's database: people with passwords and authenticators, flows, the integration."""

import secrets
from datetime import timedelta
from typing import Any

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group

from accessflows.models import AccessFlow, Integration
from accessflows.requesters import named
from apono_portal.core.crypto import encryption
from apono_portal.sso.models import IdentityProvider, SignInDomain
from apono_portal.users.models import Role, User
from bench.attack.target import FORBIDDEN, RIGHTFUL
from bench.portal_data import add_flow, add_integration, enrol
from mfa.models import Strength

ROLES = {"ada": Role.ADMIN, "abel": Role.ADMIN, "nora": Role.ADMIN, "arthur": Role.AUDITOR}
WITHOUT_MFA = ("Newcomer", "Nora")  # names that begin so
APPROVERS = ("pia", "paul")
NAMED = (*ROLES, *APPROVERS, "olga", "otto", "oona")
NOT_ENROLLED = 12
CLIENT_SECRET = b"client-secret-of-the-tests"  # known to the provider of tests/fixtures/sso.py
APPROVED_FLOWS = ("payroll", "refunds", "signing")
STRENGTHS = {
    "treasury": Strength.PHISHING_RESISTANT,
    "signing": Strength.PHISHING_RESISTANT,
    "escrow": Strength.DEVICE_BOUND,
}


def fill(accounts: int, address: dict[str, Any]) -> dict[str, Any]:
    """Return who there is, with their secrets."""
    names = [*NAMED, *(f"newcomer{number:02}" for number in range(1, NOT_ENROLLED + 1))]
    names += [f"person{number:04}" for number in range(1, accounts - len(names) + 1)]
    passwords = {name: secrets.token_urlsafe(12) for name in names}
    users = User.objects.bulk_create(
        User(email=email_of(name), name=name.capitalize(), password=make_password(password),
             role=ROLES.get(name, Role.MEMBER))
        for name, password in passwords.items()
    )  # fmt: skip
    admin = User.objects.get(email="ada@example.org")
    integration = add_integration(admin, name="target", **address)
    flows = make_flows(admin, integration)
    # Last: from then on an admin's actions need a code.
    secret_of = enrol([user for user in users if not user.name.startswith(WITHOUT_MFA)])
    people = [
        {"name": name, "id": user.pk, "email": user.email, "password": passwords[name],
         "secret": secret_of.get(user.pk, "")}
        for name, user in zip(names, users, strict=True)
    ]  # fmt: skip
    return {"people": people, "flows": flows, "integration": integration.pk}


def make_flows(admin: User, integration: Integration) -> dict[str, dict[str, int]]:
    """Make protected flows, as the names above say. Only the board may request the vault."""
    groups = {name: Group.objects.create(name=name) for name in ("Everyone", "Board", "Approvers")}
    groups["Everyone"].user_set.set(User.objects.filter(role=Role.MEMBER))
    groups["Approvers"].user_set.set(User.objects.filter(email__in=map(email_of, APPROVERS)))
    flows = {}
    for name in FORBIDDEN + RIGHTFUL:
        is_approved = name in APPROVED_FLOWS
        flow = add_flow(
            admin, integration, name=name.capitalize(), resource=name, permission=f"{name}_reader",
            max_duration=timedelta(hours=1), require_mfa=True,
            mfa_strength=STRENGTHS.get(name, Strength.ANY),
            requesters=named(groups=[groups["Board" if name == "vault" else "Everyone"].pk]),
            approval=AccessFlow.Approval.ANY_OF if is_approved else AccessFlow.Approval.AUTOMATIC,
            approver_groups=frozenset({groups["Approvers"].pk} if is_approved else ()),
        )  # fmt: skip
        flows[name] = {"id": flow.pk, "target": flow.targets.get().pk}
    return flows


def email_of(name: str) -> str:
    return f"{name}@example.org"


def add_identity_providers(issuers: list[str], user: int, subject: str) -> None:
    """Add two providers for which nobody has an account yet but one user, at the first of them."""
    for slug, issuer in zip(("one", "two"), issuers, strict=True):
        provider = IdentityProvider(slug=slug, name=slug, issuer=issuer, client_id="portal")
        provider.encrypted_secret = encryption.encrypt(
            CLIENT_SECRET, purpose=encryption.CLIENT_SECRET, owner=provider.secret_id
        )
        provider.save()
        if slug == "one":
            provider.domains.create(domain="example.org")
            provider.identities.create(issuer=issuer, subject=subject, user_id=user)


def enforce_domain(domain: str, *, is_enforced: bool) -> None:
    SignInDomain.objects.filter(domain=domain).update(is_enforced=is_enforced)
