"""Refusals of the services of tokens."""


class TokenError(Exception):
    """The action is refused; ``field`` names the form field it is about."""

    def __init__(self, sentence: str, *, field: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.field = field
