"""``manage.py configure_sso``: add the identity provider that the environment describes."""

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management import BaseCommand, CommandError

from apono_portal.sso.exceptions import SsoError
from apono_portal.sso.forms import parse_domain
from apono_portal.sso.models import IdentityProvider
from apono_portal.sso.services import ProviderInput, configure_provider


class Command(BaseCommand):
    help = (
        "Add the identity provider that SSO_ISSUER, SSO_CLIENT_ID and the other SSO_ variables "
        "describe, or bring it up to date. Run it after migrate; running it again does no harm."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.SSO_ISSUER or not settings.SSO_CLIENT_ID:
            raise CommandError("Set SSO_ISSUER and SSO_CLIENT_ID.")
        try:
            domains = tuple(parse_domain(text) for text in settings.SSO_DOMAINS)
            provider = configure_provider(data=self._input(), domains=domains)
        except ValidationError as error:
            raise CommandError(f"SSO_DOMAINS: {error.messages[0]}") from None
        except SsoError as error:
            raise CommandError(error.sentence) from None
        self.stdout.write(f"{provider} is configured. Its redirect address:")
        self.stdout.write(provider.redirect_address)

    def _input(self) -> ProviderInput:
        stored = IdentityProvider.objects.filter(issuer=settings.SSO_ISSUER).first()
        return ProviderInput(
            name=settings.SSO_NAME,
            issuer=settings.SSO_ISSUER,
            client_id=settings.SSO_CLIENT_ID,
            colour=stored.colour if stored else "#3b4ba0",
            scopes=settings.SSO_SCOPES,
            groups_claim=settings.SSO_GROUPS_CLAIM,
            accepted_acr=tuple(stored.accepted_acr) if stored else (),
            is_active=True,
            secret=settings.SSO_CLIENT_SECRET,
        )
