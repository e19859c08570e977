"""Refusals, each with a sentence for the user."""


class RequestRefused(Exception):
    """The action is not allowed, or not in this form; ``field`` names the form field."""

    def __init__(self, sentence: str, *, field: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.field = field

    @property
    def refusals(self) -> "list[RequestRefused]":
        """All that is wrong, each with its field."""
        return [self]


class SubmissionRefused(RequestRefused):
    """Several things are wrong with a submission; sentence and field are those of the first."""

    def __init__(self, refusals: list[RequestRefused]) -> None:
        super().__init__(refusals[0].sentence, field=refusals[0].field)
        self._refusals = refusals

    @property
    def refusals(self) -> list[RequestRefused]:
        return self._refusals


class Conflict(Exception):
    """Someone else, or the clock, acted first."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence
