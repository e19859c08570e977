"""Refusals of single sign-on. Each has a sentence for the user."""


class SsoError(Exception):
    """Nothing was saved. ``field`` names a form field, if any."""

    def __init__(self, sentence: str, *, field: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.field = field


class ProviderUnreachable(SsoError):
    """The identity provider did not answer, or not as OpenID Connect demands."""


class SignInMismatch(SsoError):
    """The answer does not belong to a sign-in that this browser began."""


class SignInRefused(SsoError):
    """The identity provider or the portal refused. ``can_repeat`` if signing in afresh may help."""

    def __init__(self, sentence: str, *, can_repeat: bool = False) -> None:
        super().__init__(sentence)
        self.can_repeat = can_repeat
