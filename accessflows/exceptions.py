"""Refusals of the access flows' services, as sentences for people."""


class Refused(Exception):
    """Nothing was saved. ``sentence`` says why and what to do."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class InvalidInput(Refused):
    """Terms of a flow, or of an integration, do not hold. ``errors`` maps a field to its sentence."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__(" ".join(errors.values()))
        self.errors = errors
