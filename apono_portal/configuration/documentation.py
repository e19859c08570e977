"""docs/settings.md, made from the registry."""

from apono_portal.configuration.registry import REQUIRED, SECTIONS, SETTINGS, Section, Setting

INTRODUCTION = """\
# Settings

Settings are environment variables, or lines `NAME=value` in a file that `ENV_FILE` names; the environment wins.
A value that cannot be used stops the start with one sentence. `manage.py check_settings` prints what is set,
from where, and what is wrong, and never a secret. `manage.py setup` asks for the required ones and writes the
file.

A secret (marked *) can be in a file of its own, as containers have them: `SECRET_KEY_FILE=/run/secrets/secret_key`
instead of `SECRET_KEY`. Flags are `1` or `0`.

<!-- Made by `manage.py check_settings --markdown`. Edit apono_portal/configuration/registry.py. -->
"""


def settings_page() -> str:
    """Return docs/settings.md."""
    return INTRODUCTION + "".join(_section(section) for section in SECTIONS)


def _section(section: Section) -> str:
    rows = "".join(f"| {_name(it)} | {_default(it)} | {it.meaning} |\n" for it in section.settings)
    return f"\n## {section.title}\n\n| variable | default | what it is |\n|---|---|---|\n{rows}"


def _name(setting: Setting) -> str:
    has_file = setting.is_secret and setting.file_variable not in SETTINGS
    return f"`{setting.name}`{' *' if has_file else ''}"


def _default(setting: Setting) -> str:
    if setting.is_required:
        return REQUIRED
    if setting.default:
        return f"`{setting.default}`"
    return setting.default_text or "none"
