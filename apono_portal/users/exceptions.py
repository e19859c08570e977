"""Refusals of the services about people, as sentences."""


class PersonRefused(Exception):
    """Nothing was saved. ``field`` names the form field the sentence belongs to, if any."""

    def __init__(self, sentence: str, *, field: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.field = field
