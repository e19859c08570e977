"""Forms of people and their sign-in. They parse and validate; services write."""

from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm


class SignInForm(AuthenticationForm):
    """E-mail address and password. One sentence for every failure, so that nobody learns who exists."""

    error_messages = {
        "invalid_login": (
            "Email or password is not right. Check both. After ten tries the account is held off "
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
