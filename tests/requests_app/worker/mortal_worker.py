"""A worker that is killed, without warning, just before or after a call to the target.

python -m tests.requests_app.worker.mortal_worker contain_many after
"""

import os
import signal
import sys
from typing import Any

import django


def main(method: str, when: str) -> None:
    django.setup()
    from django.core.management import call_command

    from accessflows.connectors.registry import connector_for

    connector = connector_for("postgresql")
    call = getattr(connector, method)

    def dying(*args: Any, **kwargs: Any) -> None:
        if when == "after":
            call(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(connector, method, dying)
    call_command("worker")


if __name__ == "__main__":
    main(*sys.argv[1:])
