"""Reading settings: from the environment, from the file that ``ENV_FILE`` names, and from files of secrets.

A value that cannot be used stops the start with one sentence, which never holds a secret.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

from apono_portal.configuration.registry import FORMER_NAMES, SETTINGS, Setting

FLAGS = {"1": True, "true": True, "yes": True, "on": True} | dict.fromkeys(
    ("0", "false", "no", "off"), False
)
MAXIMUM = 10_000_000  # of any number, so that every duration can be computed with


class Environment:
    """The settings in ``variables``. Every method raises `ImproperlyConfigured` with a sentence.

    Only names in the registry can be read. An empty variable counts as not set.
    """

    def __init__(
        self,
        variables: Mapping[str, str],
        *,
        file: str = "",
        names_in_file: frozenset[str] = frozenset(),
    ) -> None:
        self._variables = variables
        self._file = file
        self._names_in_file = names_in_file

    @classmethod
    def load(cls) -> "Environment":
        """Read the process's environment and what ``ENV_FILE`` adds to it. The environment wins."""
        file, before = os.environ.get("ENV_FILE", ""), set(os.environ)
        if file:
            try:
                with open(file, encoding="utf-8") as lines:
                    environ.Env.read_env(lines)
            except (OSError, UnicodeDecodeError) as error:
                reason = getattr(error, "strerror", "it is not UTF-8")
                raise ImproperlyConfigured(
                    f"ENV_FILE names {file}, which cannot be read: {reason}."
                ) from None
        added = frozenset(set(os.environ) - before)
        return cls(os.environ, file=file, names_in_file=added)

    def text(self, name: str) -> str:
        """Return the value, or the default in the registry."""
        setting = SETTINGS[name]
        value = self._value(setting) or setting.default
        if setting.is_required and not value:
            raise ImproperlyConfigured(f"Set {name}: {_lower_first(setting.meaning)}")
        if setting.choices and value not in setting.choices:
            raise ImproperlyConfigured(f"{name} must be one of {', '.join(setting.choices)}.")
        return value

    def integer(self, name: str) -> int:
        try:
            value = int(self.text(name))
        except ValueError:
            raise ImproperlyConfigured(
                f"{name} must be a whole number, such as {SETTINGS[name].default}."
            ) from None
        _require_in_range(SETTINGS[name], value)
        return value

    def number(self, name: str) -> float:
        try:
            value = float(self.text(name))
        except ValueError:
            raise ImproperlyConfigured(
                f"{name} must be a number, such as {SETTINGS[name].default}."
            ) from None
        _require_in_range(SETTINGS[name], value)
        return value

    def flag(self, name: str) -> bool:
        try:
            return FLAGS[self.text(name).lower()]
        except KeyError:
            raise ImproperlyConfigured(f"{name} must be 1 or 0.") from None

    def items(self, name: str) -> list[str]:
        """Return the parts between commas."""
        return [part.strip() for part in self.text(name).split(",") if part.strip()]

    def check(self, setting: Setting) -> None:
        """Read a setting as what it is."""
        readers = {"integer": self.integer, "number": self.number, "flag": self.flag}
        readers.get(setting.kind, self.text)(setting.name)

    def source(self, setting: Setting) -> str:
        """Return where a value comes from: a file, the environment, or "default"."""
        if self._variables.get(setting.name, "").strip():
            return self._file if setting.name in self._names_in_file else "environment"
        return self._secret_file(setting) or "default"

    def secret_files(self) -> list[str]:
        """Return the files that secrets are read from."""
        files = [self._file, *map(self._secret_file, SETTINGS.values())]
        return [file for file in files if file]

    def unknown_names(self) -> list[str]:
        """Return the names in ``ENV_FILE`` that are no settings, such as misspelt ones."""
        known = {*SETTINGS, *(setting.file_variable for setting in SETTINGS.values())}
        return sorted(self._names_in_file - known)

    def require_current_names(self) -> None:
        for former, name in FORMER_NAMES.items():
            if former in self._variables:
                raise ImproperlyConfigured(f"{former} is now called {name}. Rename the variable.")

    def _value(self, setting: Setting) -> str:
        value, file = self._variables.get(setting.name, "").strip(), self._secret_file(setting)
        if not file:
            return value
        if value:
            raise ImproperlyConfigured(f"Set {setting.name} or {setting.file_variable}, not both.")
        try:
            return Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", "it is not UTF-8")
            raise ImproperlyConfigured(
                f"{setting.file_variable} names {file}, which cannot be read: {reason}."
            ) from None

    def _secret_file(self, setting: Setting) -> str:
        """Return the file with a secret. A setting of that name is read by the part that needs it."""
        if not setting.is_secret or setting.file_variable in SETTINGS:
            return ""
        return self._variables.get(setting.file_variable, "").strip()


def _require_in_range(setting: Setting, value: float) -> None:
    if not setting.minimum <= value <= MAXIMUM:
        raise ImproperlyConfigured(
            f"{setting.name} must be at least {setting.minimum:g} and at most {MAXIMUM:,}."
        )


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
