"""Refusals of the access flows' services, as sentences for users."""


class Refused(Exception):
    """Nothing was saved. ``sentence`` says why and what to do."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class InvalidInput(Refused):
    """The input of a flow or an integration is invalid. ``errors`` maps a field to its sentence."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__(" ".join(errors.values()))
        self.errors = errors
