"""Refusals, each with a sentence for the user."""


class RequestRefused(Exception):
    """The action is not allowed, or not in this form; ``field`` names the form field."""

    def __init__(self, sentence: str, *, field: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.field = field


class Conflict(Exception):
    """Someone else, or the clock, acted first."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence
