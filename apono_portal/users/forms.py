"""Forms for users, groups, sign-in and passwords. They parse and validate; services write."""

from typing import Any, cast

from django import forms
from django.contrib.auth import authenticate
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm, SetPasswordForm
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db.models import BigIntegerField
from django.forms.utils import ErrorDict
from django.http import HttpRequest
from django.utils import timezone

from accessflows.form_fields import RowsField, SeenField, Toggle
from accessflows.pickers import GROUP, USER, PickedField, PickedOneField
from apono_portal.core.formatting.printable import validate_printable
from apono_portal.sso.enforcement import enforcing_provider
from apono_portal.users.directory import DirectoryFilter
from apono_portal.users.managers import normalise_email
from apono_portal.users.models import Role, User
from apono_portal.users.selectors import locked_out_users
from mfa.enrolment.recovery_codes import parse_recovery_code
from mfa.exceptions import MalformedCode
from mfa.methods.selectors import is_enrolled
from mfa.verification.policies import MAX_REASON_LENGTH
from mfa.verification.services import is_six_digits

MAX_SELECTED = 100
INCORRECT = (
    "Incorrect email or password. After 10 failed attempts, sign-in is blocked for 15 minutes."
)


class SignInForm(AuthenticationForm):
    """Email and password. Every failure reads the same, so that nobody learns which accounts exist."""

    error_messages = {"invalid_login": INCORRECT, "inactive": INCORRECT}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = "Email"
        self.fields["username"].widget = forms.EmailInput(
            attrs={"autocomplete": "username", "autofocus": True, "maxlength": 254}
        )
        self.fields["password"].label = "Password"

    def get_invalid_login_error(self) -> ValidationError:
        """Name the provider of a domain whose passwords are off, whether or not the account exists."""
        provider = enforcing_provider(normalise_email(self.cleaned_data.get("username") or ""))
        if provider is None:
            return super().get_invalid_login_error()
        sentence = f"Users of this domain sign in with {provider}. Use the button above."
        return ValidationError(sentence, code="invalid_login")


class NewPasswordForm(SetPasswordForm):  # type: ignore[type-arg]
    """A new password, entered twice."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        password, confirmation = self.fields["new_password1"], self.fields["new_password2"]
        password.label, confirmation.label = "New password", "Confirm new password"
        password.help_text = (
            "At least 12 characters, not a common password, not similar to your name or email."
        )
        confirmation.help_text = ""


class ForgotPasswordForm(forms.Form):
    """Whose password to reset."""

    email = forms.EmailField(
        label="Email",
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True}),
    )


class LinkPasswordForm(NewPasswordForm):
    """The same through a link, with a code of a user who has set up MFA."""

    code = forms.CharField(
        label="Six-digit code or recovery code",
        max_length=64,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "spellcheck": "false"}),
        help_text="From your authenticator app. If you lost it, ask an account admin to reset your MFA.",
        error_messages={"required": MalformedCode.message},
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.user is None or not is_enrolled(self.user.pk):
            del self.fields["code"]

    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"]
        try:
            return code if is_six_digits(code) else parse_recovery_code(code)
        except MalformedCode:
            raise ValidationError(MalformedCode.message) from None


class ChangePasswordForm(NewPasswordForm, PasswordChangeForm):
    """The same with the current password, whose failures count towards the sign-in limit.

    ``checked_user`` has the hash that the current password was compared with.
    """

    checked_user: User
    field_order = ["old_password", "new_password1", "new_password2"]

    @classmethod
    def unchecked(cls, user: User, *, request: HttpRequest) -> "ChangePasswordForm":
        """Return the form with what was typed, none of it checked: the user verifies first."""
        form = cls(
            user,
            initial={name: request.POST.get(name, "") for name in cls.field_order},
            request=request,
        )
        for field in form.fields.values():
            cast(forms.PasswordInput, field.widget).render_value = True
        return form

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request
        self.fields["old_password"].label = "Current password"

    def clean_old_password(self) -> str:
        password: str = self.cleaned_data["old_password"]
        checked = authenticate(self.request, username=self.user.email, password=password)
        if checked is None:
            raise ValidationError("Incorrect password.", code="password_incorrect")
        self.checked_user = checked
        return password


class DirectoryFilterForm(forms.Form):
    """Filters of the Users tab. Invalid values are ignored."""

    q = forms.CharField(required=False, max_length=100)
    role = forms.ChoiceField(required=False, choices=[("", "Any role"), *Role.choices])
    status = forms.ChoiceField(
        required=False,
        choices=[
            ("", "Any status"),
            ("active", "Active"),
            ("inactive", "Deactivated"),
            ("locked_out", "Locked out"),
        ],
    )
    mfa = forms.ChoiceField(
        required=False,
        choices=[
            ("", "Any MFA"),
            ("set_up", "Set up"),
            ("not_set_up", "Not set up"),
            ("required", "Required, not set up"),
        ],
    )

    before = forms.IntegerField(required=False, min_value=0, max_value=BigIntegerField.MAX_BIGINT)
    after = forms.IntegerField(required=False, min_value=0, max_value=BigIntegerField.MAX_BIGINT)

    @property
    def is_filtered(self) -> bool:
        return any(self.cleaned_data.get(name) for name in ("q", "role", "status", "mfa"))

    def directory_filter(self) -> DirectoryFilter:
        self.is_valid()
        values = self.cleaned_data
        status, user_ids = values.get("status", ""), None
        if status == "locked_out":
            status, user_ids = "", frozenset(locked_out_users(timezone.now()))
        return DirectoryFilter(
            text=values.get("q", "").strip(),
            role=values.get("role", ""),
            status=status,
            mfa=values.get("mfa", ""),
            user_ids=user_ids,
        )


class UserForm(forms.Form):
    """Name, role and groups of a user."""

    name = forms.CharField(label="Name", max_length=64, validators=[validate_printable])
    role = forms.ChoiceField(
        label="Role",
        choices=Role.choices,
        initial=Role.MEMBER,
        widget=forms.RadioSelect(attrs={"class": "segmented"}),
        help_text="Admins manage the portal, auditors read everything, members request and approve.",
    )
    groups = RowsField(label="Groups")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        local = Group.objects.filter(scim_group=None).order_by("name")
        cast(RowsField, self.fields["groups"]).queryset = local


class ChangeUserForm(UserForm):
    """The same for a user who exists. ``directory`` manages the name, if there is one."""

    seen = SeenField()

    def __init__(self, *args: Any, directory: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if directory:
            self.fields["name"].disabled = True
            self.fields["name"].help_text = f"Managed by {directory}."


class NewUserForm(UserForm):
    """The same with the email, which cannot be changed later."""

    email = forms.EmailField(label="Email", max_length=254, help_text="Used to sign in.")
    is_service = forms.BooleanField(
        label="Service account",
        required=False,
        help_text="For scripts: it cannot sign in or request what requires MFA. You create its API tokens; "
        "the email is that of whoever looks after it.",
    )
    field_order = ["email", "name", "role", "groups", "is_service"]

    def clean_email(self) -> str:
        return normalise_email(self.cleaned_data["email"])


class PickerForm(forms.Form):
    """A form with a picker. While users are searched, ``is_draft`` shows what was sent without validating it."""

    def __init__(self, *args: Any, is_draft: bool = False, **kwargs: Any) -> None:
        self.is_draft = is_draft
        super().__init__(*args, **kwargs)

    def full_clean(self) -> None:
        if self.is_draft:
            self._errors, self.cleaned_data = ErrorDict(), {}
        else:
            super().full_clean()


class NewGroupForm(PickerForm):
    """Name and members of a group."""

    name = forms.CharField(label="Name", max_length=150, validators=[validate_printable])
    members = PickedField(USER, label="Members", help_text="An empty group matches nobody.")


class RenameGroupForm(forms.Form):
    """Another name for a group."""

    name = forms.CharField(label="Name", max_length=150, validators=[validate_printable])
    seen = SeenField()


class AddMembersForm(PickerForm):
    """Users who join a group."""

    members = PickedField(
        USER,
        label="Users",
        required=True,
        error_messages={"required": "Choose at least one user."},
    )


class SelectedUsersForm(forms.Form):
    """The users selected in the list."""

    user = RowsField(required=True, error_messages={"required": "Select at least one user."})

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        cast(RowsField, self.fields["user"]).queryset = User.objects.order_by("name", "email")

    def clean_user(self) -> list[User]:
        users = list(self.cleaned_data["user"][: MAX_SELECTED + 1])
        if len(users) > MAX_SELECTED:
            raise ValidationError(f"Select at most {MAX_SELECTED} users.")
        return users


class ResetSelectedForm(forms.Form):
    """The reason of the MFA resets, and whether to revoke access too."""

    reason = forms.CharField(
        label="Reason",
        max_length=MAX_REASON_LENGTH,
        help_text="Sent to the users and recorded in the audit log.",
        error_messages={"required": "Enter a reason."},
    )
    revoke_access = Toggle(label="Also revoke active access")


class AddSelectedForm(PickerForm):
    """The group that the selected users join."""

    group = PickedOneField(
        GROUP, label="Group", required=True, error_messages={"required": "Choose a group."}
    )


class ResetMfaForm(forms.Form):
    """The reason of an MFA reset, and whether to revoke access and void the password too."""

    reason = forms.CharField(
        label="Reason",
        max_length=MAX_REASON_LENGTH,
        help_text="Sent to the user and recorded in the audit log.",
        error_messages={"required": "Enter a reason."},
    )
    revoke_access = Toggle(label="Also revoke active access")
    require_new_password = Toggle(label="Also require a new password")
