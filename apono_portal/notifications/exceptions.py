"""Refusals of the notices' services, as sentences for people."""


class NotificationError(Exception):
    """Nothing was saved. ``field`` names the form field."""

    def __init__(self, sentence: str, *, field: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.field = field
