"""What a provider says about a user, checked by us after Authlib has checked signature and nonce."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from apono_portal.sso.exceptions import SignInRefused
from apono_portal.sso.models import MAX_SUBJECT_LENGTH, IdentityProvider

LEEWAY = timedelta(seconds=120)
MAX_GROUPS = 5000
MAX_NAME_LENGTH = 64
Claims = Mapping[str, Any]


@dataclass(frozen=True)
class VerifiedClaims:
    """The claims of an ID token that passed every check.

    ``email`` is empty unless it is verified. ``groups`` is None when the provider did not say which
    groups the user is in, which is not the same as none.
    """

    issuer: str
    subject: str
    email: str = ""
    name: str = ""
    groups: frozenset[str] | None = None
    acr: str = ""
    amr: tuple[str, ...] = ()
    auth_time: datetime | None = None
    sid: str = ""
    everything: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def domain(self) -> str:
        return self.email.rpartition("@")[2]


def verify_claims(
    claims: Claims, *, provider: IdentityProvider, now: datetime, max_age: timedelta | None = None
) -> VerifiedClaims:
    """Check issuer, audience, expiry, subject, class and age, and return what counts.

    ``max_age`` is how long ago the user may have signed in at the provider. Raises `SignInRefused`.
    """
    if claims.get("iss") != provider.issuer:
        raise SignInRefused(f"The answer was not issued by {provider}.")
    _check_audience(claims, provider)
    expires_at = instant_of(claims.get("exp"))
    if expires_at is None or expires_at + LEEWAY < now:
        raise SignInRefused(f"The answer of {provider} has expired. Try again.", can_repeat=True)
    auth_time = _check_auth_time(claims, provider, now, max_age)
    acr = claims.get("acr")
    if provider.accepted_acr and acr not in provider.accepted_acr:
        raise SignInRefused(
            f"{provider} did not verify you as strongly as this portal demands.", can_repeat=True
        )
    return VerifiedClaims(
        issuer=provider.issuer,
        subject=_subject(claims, provider),
        email=verified_email(claims),
        name=_name(claims),
        groups=groups_in(claims, provider.groups_claim),
        acr=acr if isinstance(acr, str) else "",
        amr=tuple(item for item in _list(claims.get("amr")) if isinstance(item, str)),
        auth_time=auth_time,
        sid=str(claims.get("sid") or "")[:255],
        everything=dict(claims),
    )


def verified_email(claims: Claims) -> str:
    """Return the email in lower case, or "" if the provider does not call it verified.

    ``xms_edov`` is Microsoft's: the owner of the domain vouches for the address. Letters outside ASCII
    are refused, because some of them look like others, or become them when normalised.
    """
    email = claims.get("email")
    is_verified = claims.get("email_verified") is True or claims.get("xms_edov") in (True, "1")
    if not is_verified or not isinstance(email, str) or not email.isascii():
        return ""
    local, at, domain = email.rpartition("@")
    is_plain = at and local and domain and email.isprintable() and " " not in email
    return email.lower() if is_plain and "@" not in local and len(email) <= 254 else ""


def groups_in(claims: Claims, name: str) -> frozenset[str] | None:
    """Return the values of the groups claim; None if they are not known.

    Providers leave the claim out for users without groups. With too many groups, Microsoft sends a link
    in place of the list.
    """
    sources = claims.get("_claim_names")
    if claims.get("hasgroups") or (isinstance(sources, Mapping) and name in sources):
        return None
    value = claims.get(name, [])
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or len(values) > MAX_GROUPS:
        return None
    return frozenset(item for item in values if isinstance(item, str))


def _check_audience(claims: Claims, provider: IdentityProvider) -> None:
    audience = _list(claims.get("aud"))
    azp = claims.get("azp")
    is_ours = provider.client_id in audience and azp in (None, provider.client_id)
    if not is_ours or (len(audience) > 1 and azp is None):
        raise SignInRefused(f"The answer of {provider} was meant for another application.")


def _check_auth_time(
    claims: Claims, provider: IdentityProvider, now: datetime, max_age: timedelta | None
) -> datetime | None:
    """Return when the user signed in at the provider, None if it does not say."""
    auth_time = instant_of(claims.get("auth_time"))
    if auth_time is not None and auth_time > now + LEEWAY:
        raise SignInRefused(f"The clocks of {provider} and of this portal differ too much.")
    if max_age is not None and auth_time is not None and auth_time + max_age + LEEWAY < now:
        raise SignInRefused(f"{provider} did not ask you to sign in again.", can_repeat=True)
    return auth_time


def _subject(claims: Claims, provider: IdentityProvider) -> str:
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT_LENGTH:
        raise SignInRefused(f"{provider} did not say who you are.")
    if "\0" in subject:  # which PostgreSQL rejects
        raise SignInRefused(f"{provider} did not say who you are.")
    return subject


def _name(claims: Claims) -> str:
    name = claims.get("name")
    name = " ".join(name.split()) if isinstance(name, str) else ""
    return name[:MAX_NAME_LENGTH] if name.isprintable() else ""


def instant_of(value: object) -> datetime | None:
    """Return a NumericDate as an instant, None if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _list(value: object) -> list[object]:
    if isinstance(value, list):
        return value
    return [] if value is None else [value]
