"""A pytest plugin that migrates once: later runs begin with a copy of the migrated SQLite file."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from django.db.backends.base.creation import BaseDatabaseCreation

_TEMPLATE = Path(os.environ.get("MUTATE_DATABASE", ""))
_migrate = BaseDatabaseCreation.create_test_db


def _create(self: BaseDatabaseCreation, *arguments: Any, **options: Any) -> str:
    connection = self.connection
    if not _TEMPLATE.exists():
        name = _migrate(self, *arguments, **options)
        connection.cursor().execute("VACUUM INTO %s", [str(_TEMPLATE)])
        return name
    name = str(connection.settings_dict["TEST"]["NAME"])
    connection.close()
    shutil.copyfile(_TEMPLATE, name)
    connection.settings_dict["NAME"] = name
    return name


def pytest_configure(config: pytest.Config) -> None:
    BaseDatabaseCreation.create_test_db = _create  # type: ignore[method-assign]
