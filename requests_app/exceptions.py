"""Refusals, each with a sentence for the person who asked."""


class RequestRefused(Exception):
    """What was asked for is not allowed, or not in this way. ``field`` names the form field."""

    def __init__(self, sentence: str, *, field: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.field = field


class Conflict(Exception):
    """Somebody, or the clock, was first. ``sentence`` says who and what the request is now."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence
