"""Errors of the user services."""


class UserError(Exception):
    """Nothing was saved. ``sentence`` is for the user; ``field`` names a form field, if any."""

    def __init__(self, sentence: str, *, field: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.field = field
