"""Settings are in one registry: read through it, described by it, read nowhere else."""

import ast
import re

from apono_portal.configuration.documentation import settings_page
from apono_portal.configuration.registry import SECTIONS, SETTINGS
from tests.architecture.sources import ROOT, name_of, python_files, tree_of

SETTINGS_FILE = ROOT / "apono_portal" / "settings.py"
READ = re.compile(r'env\.\w+\(\s*"([A-Z_0-9]+)"')
# What reads the environment itself: settings, the processes of the demo, and who starts Django.
READERS = {
    "apono_portal/configuration/environment.py",
    "apono_portal/configuration/guided_setup.py",
    "apono_portal/configuration/settings_report.py",
    "apono_portal/demo/supervisor.py",
    "apono_portal/gunicorn_config.py",
    "apono_portal/management/commands/demo.py",
    "apono_portal/wsgi.py",
}


def test_every_setting_is_in_the_registry_and_read():
    """A new setting: add it to apono_portal/configuration/registry.py, and read it in settings.py."""
    assert sorted(SETTINGS) == sorted(set(READ.findall(SETTINGS_FILE.read_text())))
    assert len(SETTINGS) == sum(len(section.settings) for section in SECTIONS)


def test_the_page_of_settings_is_up_to_date():
    """After a change: ``manage.py check_settings --markdown > docs/settings.md``."""
    assert (ROOT / "docs" / "settings.md").read_text() == settings_page()


def test_nothing_else_reads_the_environment():
    readers = {
        name_of(path)
        for path in python_files()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute)
        and node.attr in {"environ", "getenv"}
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
    }
    assert readers <= READERS


def test_meanings_are_sentences():
    assert [
        it.name for it in SETTINGS.values() if it.meaning[-1] not in ".`" or "|" in it.meaning
    ] == []
