"""Prints what pages ask the database: how many statements, and what is read without an index.

Runs in the portal's environment: `python -m bench.speed.asked` reads a JSON object of ``session`` and
``pages``, a name to an address each.
"""

import json
import os
import sys
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "apono_portal.settings")

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402

from bench.speed.ground import HOST  # noqa: E402
from bench.speed.plans import questions_in, scans_of  # noqa: E402


def look(session: str, pages: dict[str, str]) -> dict[str, Any]:
    client = Client(SERVER_NAME=HOST)
    client.cookies[settings.SESSION_COOKIE_NAME] = session
    return {name: _look_at(client, address) for name, address in pages.items()}


def _look_at(client: Client, address: str) -> dict[str, Any]:
    client.get(address)  # what is asked once in a process is not asked again
    with CaptureQueriesContext(connection) as asked:
        answer = client.get(address)
    if answer.status_code != 200:
        raise SystemExit(f"{address} answers {answer.status_code}")
    questions = questions_in(asked)
    with connection.cursor() as cursor:
        return {"statements": len(questions), "scans": scans_of(cursor, questions)}


if __name__ == "__main__":
    told = json.load(sys.stdin)
    json.dump(look(told["session"], told["pages"]), sys.stdout)
