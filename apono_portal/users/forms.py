"""Forms of people and their sign-in. They parse and validate; services write."""

from typing import Any

from django import forms
from django.contrib.auth import authenticate
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm, SetPasswordForm
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone

from accessflows.form_fields import RowsField
from apono_portal.users.directory import Asked, Choice
from apono_portal.users.managers import normalise_email
from apono_portal.users.models import Role, User
from apono_portal.users.selectors import held_off_now
from audit.log.forms import MAX_ID
from mfa.verification.policies import LONGEST_REASON


class SignInForm(AuthenticationForm):
    """E-mail address and password. One sentence for every failure, so that nobody learns who exists."""

    error_messages = {
        "invalid_login": (
            "Email or password is not right. Check both. After ten attempts the account is held off "
            "for 15 minutes from here."
        ),
        "inactive": "Email or password is not right. Check both.",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = "Email"
        self.fields["username"].widget = forms.EmailInput(
            attrs={"autocomplete": "username", "autofocus": True, "maxlength": 254}
        )
        self.fields["password"].label = "Password"


class NewPasswordForm(SetPasswordForm):  # type: ignore[type-arg]
    """A new password, typed twice."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["new_password1"].label = "New password"
        self.fields[
            "new_password1"
        ].help_text = (
            "At least 12 characters, not a common password and not like your name or address."
        )
        self.fields["new_password2"].label = "New password again"
        self.fields["new_password2"].help_text = ""


class ChangePasswordForm(NewPasswordForm, PasswordChangeForm):
    """The same with the old password, attempts at which are counted and held off as at sign-in."""

    field_order = ["old_password", "new_password1", "new_password2"]

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request
        self.fields["old_password"].label = "Old password"

    def clean_old_password(self) -> str:
        typed: str = self.cleaned_data["old_password"]
        if authenticate(self.request, username=self.user.email, password=typed) is None:
            raise ValidationError("The old password is not right.", code="password_incorrect")
        return typed


class PeopleFilterForm(forms.Form):
    """What the list of people is narrowed to; an unknown value narrows nothing."""

    q = forms.CharField(required=False, max_length=100)
    role = forms.ChoiceField(required=False, choices=[("", "Any role"), *Role.choices])
    status = forms.ChoiceField(
        required=False,
        choices=[
            ("", "Any status"),
            ("active", "Active"),
            ("inactive", "Deactivated"),
            ("held_off", "Held off now"),
        ],
    )
    mfa = forms.ChoiceField(
        required=False,
        choices=[
            ("", "Any MFA"),
            ("set_up", "Set up"),
            ("not", "Not set up"),
            ("in_need", "Needed, not set up"),
        ],
    )

    before = forms.IntegerField(required=False, min_value=0, max_value=MAX_ID)
    after = forms.IntegerField(required=False, min_value=0, max_value=MAX_ID)

    FILTERS = ("q", "role", "status", "mfa")

    @property
    def is_filtered(self) -> bool:
        return any(self.cleaned_data.get(name) for name in self.FILTERS)

    @property
    def asked(self) -> Asked:
        """Who is asked for."""
        self.is_valid()
        chosen = self.cleaned_data
        status = chosen.get("status", "")
        held_off = frozenset(held_off_now(timezone.now())) if status == "held_off" else None
        return Asked(
            Choice(
                role=chosen.get("role", ""),
                status=status if held_off is None else "",
                mfa=chosen.get("mfa", ""),
            ),
            words=chosen.get("q", "").strip(),
            among=held_off,
        )


class PersonForm(forms.Form):
    """Name, role and groups of a person."""

    name = forms.CharField(label="Name", max_length=64)
    role = forms.ChoiceField(
        label="Role",
        choices=Role.choices,
        initial=Role.MEMBER,
        widget=forms.RadioSelect(attrs={"class": "segmented"}),
        help_text="Admins run the portal, auditors read everything, members request and decide.",
    )
    groups = RowsField(label="Groups")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        groups: Any = self.fields["groups"]
        groups.queryset = Group.objects.order_by("name")

    def clean_name(self) -> str:
        return printable(self.cleaned_data["name"])


class NewPersonForm(PersonForm):
    """The same with the e-mail address, which stays as it is later on."""

    email = forms.EmailField(
        label="Email", max_length=254, help_text="The person signs in with it."
    )
    field_order = ["email", "name", "role", "groups"]

    def clean_email(self) -> str:
        return normalise_email(self.cleaned_data["email"])


class GroupForm(forms.Form):
    """Name and members of a group."""

    name = forms.CharField(label="Name", max_length=150)
    members = RowsField(label="Members", help_text="A group without members means nobody.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        members: Any = self.fields["members"]
        members.queryset = User.objects.order_by("name", "email")

    def clean_name(self) -> str:
        return printable(self.cleaned_data["name"])


class ResetMfaForm(forms.Form):
    """Why, and whether open access ends too."""

    reason = forms.CharField(
        label="Reason",
        max_length=LONGEST_REASON,
        help_text="Goes to the audit log and to the person.",
        error_messages={"required": "Say why. It goes to the audit log and to the person."},
    )
    revoke_access = forms.BooleanField(label="Also end access that is open now", required=False)


def printable(text: str) -> str:
    """Return a name as it is, or say that it cannot hold characters nobody sees."""
    if not text.isprintable():
        raise ValidationError("A name stands on one line and has no hidden characters.")
    return text
