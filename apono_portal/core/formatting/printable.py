"""Names that people read, in emails too, without line breaks and characters nobody can see."""

from django.core.exceptions import ValidationError


def validate_printable(text: str) -> None:
    """Raise ValidationError if the text has line breaks or invisible characters."""
    if not text.isprintable():
        raise ValidationError("Remove line breaks and invisible characters.")
