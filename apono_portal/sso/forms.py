"""Forms for identity providers, domains and mappings. They parse and validate; services write."""

import re
from typing import Any, cast

from django import forms
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError

from accessflows.form_fields import SeenField, Switch
from apono_portal.core.formatting.printable import validate_printable
from apono_portal.sso.models import IdentityProvider, SignInDomain
from apono_portal.sso.services import ProviderInput, domain_digest, provider_digest
from apono_portal.users.models import Role, User

DOMAIN = re.compile(r"(?=.{1,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")
PLAIN_TEXT = {"autocomplete": "off", "spellcheck": "false"}


class ProviderForm(forms.Form):
    """An identity provider. Its secret can be replaced, but never shown."""

    name = forms.CharField(
        label="Name",
        max_length=60,
        validators=[validate_printable],
        help_text="On the sign-in button: “Continue with NAME”.",
    )
    issuer = forms.CharField(
        label="Issuer",
        max_length=500,
        widget=forms.TextInput(attrs=PLAIN_TEXT),
        help_text="Its address, exactly as its discovery document has it.",
    )
    client_id = forms.CharField(
        label="Client ID", max_length=255, widget=forms.TextInput(attrs=PLAIN_TEXT)
    )
    secret = forms.CharField(
        label="Client secret",
        required=False,
        max_length=500,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="Encrypted and never shown again.",
    )
    scopes = forms.CharField(
        label="Scopes",
        max_length=255,
        initial="openid profile email",
        widget=forms.TextInput(attrs=PLAIN_TEXT),
    )
    groups_claim = forms.CharField(
        label="Groups claim",
        max_length=60,
        initial="groups",
        widget=forms.TextInput(attrs=PLAIN_TEXT),
        help_text="The claim that mappings look at, such as groups or roles.",
    )
    accepted_acr = forms.CharField(
        label="Accepted authentication classes",
        required=False,
        max_length=500,
        widget=forms.TextInput(attrs=PLAIN_TEXT),
        help_text="Values of acr, separated by spaces. A sign-in with another one is refused. Empty accepts any.",
    )
    colour = forms.RegexField(
        r"\A#[0-9a-fA-F]{6}\Z",
        label="Button colour",
        initial="#3b4ba0",
        strip=True,
        widget=forms.TextInput(attrs={"type": "color"}),
    )
    is_active = Switch(
        label="Active",
        initial=True,
        help_text="When off, nobody signs in through it, and passwords of its domains work.",
    )
    seen = SeenField()

    def __init__(self, *args: Any, provider: IdentityProvider | None = None, **kwargs: Any) -> None:
        if provider:
            names = ("name", "issuer", "client_id", "scopes", "groups_claim", "colour", "is_active")
            kwargs["initial"] = {name: getattr(provider, name) for name in names}
            kwargs["initial"]["accepted_acr"] = " ".join(provider.accepted_acr)
            kwargs["initial"]["seen"] = provider_digest(provider)
        super().__init__(*args, **kwargs)
        if provider and provider.encrypted_secret:
            self.fields["secret"].help_text = "Leave empty to keep the stored one."

    def clean_scopes(self) -> str:
        scopes = self.cleaned_data["scopes"].split()
        if "openid" not in scopes:
            raise ValidationError("The scopes must contain openid.")
        return " ".join(scopes)

    def provider_input(self) -> ProviderInput:
        values = self.cleaned_data
        return ProviderInput(
            name=" ".join(values["name"].split()),
            issuer=values["issuer"],
            client_id=values["client_id"],
            colour=values["colour"],
            scopes=values["scopes"],
            groups_claim=values["groups_claim"],
            accepted_acr=tuple(values["accepted_acr"].split()),
            is_active=values["is_active"],
            secret=values["secret"],
        )


class DomainForm(forms.Form):
    """A new domain of a provider."""

    domain = forms.CharField(
        label="Email domain",
        max_length=253,
        widget=forms.TextInput(attrs=PLAIN_TEXT | {"placeholder": "example.com"}),
    )

    def clean_domain(self) -> str:
        return parse_domain(self.cleaned_data["domain"])


class ChangeDomainForm(forms.Form):
    """What a domain allows."""

    creates_users = Switch(
        label="Create accounts at first sign-in",
        help_text="As members. Without it, an admin or SCIM adds users first.",
    )
    is_enforced = Switch(
        label="Require single sign-on",
        help_text="Passwords of this domain stop working. MFA in this portal stays required where a flow requires it.",
    )
    seen = SeenField()

    def __init__(self, *args: Any, domain: SignInDomain, **kwargs: Any) -> None:
        kwargs["initial"] = {
            "creates_users": domain.creates_users,
            "is_enforced": domain.is_enforced,
            "seen": domain_digest(domain),
        }
        super().__init__(*args, **kwargs)


class MappingForm(forms.Form):
    """A value of the groups claim, and the group or role that it stands for."""

    value = forms.CharField(
        label="Value",
        max_length=255,
        validators=[validate_printable],
        widget=forms.TextInput(attrs=PLAIN_TEXT),
    )
    becomes = forms.ChoiceField(label="Becomes")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        groups = Group.objects.order_by("name").values_list("pk", "name")
        cast(forms.ChoiceField, self.fields["becomes"]).choices = [
            *((f"group:{pk}", f"Group: {name}") for pk, name in groups),
            *((f"role:{role.value}", f"Role: {role.label}") for role in Role if role != "member"),
        ]

    def group_and_role(self) -> dict[str, Any]:
        kind, _, value = self.cleaned_data["becomes"].partition(":")
        if kind == "role":
            return {"group": None, "role": value}
        return {"group": Group.objects.filter(pk=value).first(), "role": ""}


class BreakGlassForm(forms.Form):
    """The admin who keeps the password where single sign-on is enforced."""

    user = forms.ModelChoiceField(
        label="Break-glass admin",
        queryset=User.objects.none(),
        required=False,
        empty_label="Nobody",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        admins = User.objects.account_admins()
        cast("forms.ModelChoiceField[User]", self.fields["user"]).queryset = admins
        current = admins.filter(is_break_glass=True).first()
        self.fields["user"].initial = current.pk if current else None


def parse_domain(text: str) -> str:
    """Return an email domain in lower case. International ones are entered as xn--."""
    domain = text.strip().lower().removeprefix("@")
    if not DOMAIN.fullmatch(domain):
        raise ValidationError("Enter a domain such as example.com.")
    return domain
