"""Errors of the user services, and refusals of password attempts."""

from datetime import datetime


class UserError(Exception):
    """Nothing was saved. ``sentence`` is for the user; ``field`` names a form field, if any."""

    def __init__(self, sentence: str, *, field: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.field = field


class PasswordsBusy(Exception):
    """This process has as many passwords to compare as it can. Nothing was compared or counted."""

    retry_after_s = 5


class PasswordsBlocked(Exception):
    """Too many incorrect passwords. ``is_new`` if this attempt was the one too many."""

    def __init__(self, until: datetime, *, is_new: bool, whole_network: bool) -> None:
        super().__init__(until)
        self.until = until
        self.is_new = is_new
        self.whole_network = whole_network
