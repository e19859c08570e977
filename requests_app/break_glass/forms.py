"""The form of a review."""

from django import forms


class ReviewForm(forms.Form):
    """The note of a review. The service checks that it says something."""

    note = forms.CharField(
        label="Review note",
        max_length=500,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 3, "class": "input"}),
        error_messages={"required": "Enter a note. It is kept in the audit log."},
    )
