"""The file of an import."""

from typing import Any

from django import forms

from apono_portal.users.exceptions import UserError
from apono_portal.users.imports.csv_file import MAX_BYTES, MAX_ROWS, parse_users

TOO_LARGE = f"This file is larger than {MAX_BYTES // 1024} kB. Split it."


class ImportFileForm(forms.Form):
    """A CSV file; cleans to its rows."""

    file = forms.FileField(
        label="CSV file",
        help_text=f"Up to {MAX_ROWS} users and {MAX_BYTES // 1024} kB, in UTF-8.",
        widget=forms.FileInput(attrs={"accept": ".csv,text/csv"}),
        error_messages={
            "required": "Choose a file.",
            "empty": "This file is empty.",
            "invalid": "Choose a file.",
        },
    )

    def clean_file(self) -> Any:
        uploaded = self.cleaned_data["file"]
        if uploaded.size > MAX_BYTES:
            raise forms.ValidationError(TOO_LARGE)
        try:
            return parse_users(uploaded.read())
        except UserError as error:
            raise forms.ValidationError(error.sentence) from error
