"""Measures the audit log with many events: sealing, both exports, and the verifier.

python -m bench.audit_export [--events 1000000]

Works on a database of its own, in a temporary folder; DATABASE_URL names another, empty one. Each
step is a process of its own, so that its peak of memory is its own. Memory is flat if an export's
peak is the same after a tenth of the rows and after all of them.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from datetime import UTC, datetime, timedelta
from pathlib import Path

START = datetime(2026, 1, 1, tzinfo=UTC)
BATCH = 2000
SCRIPT = Path(__file__).resolve().parents[1] / "audit" / "verify_export.py"


def main() -> int:
    parser = ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--step", help="internal: the step this process does")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    if options.step:
        told = STEPS[options.step](options.events, options.folder)
        print(json.dumps(told))
        return 0
    with tempfile.TemporaryDirectory(prefix="audit-bench-") as folder:
        return measure(options.events, Path(folder))


def measure(events: int, folder: Path) -> int:
    environment = {"DATABASE_URL": f"sqlite:///{folder}/bench.sqlite3", **os.environ}
    environment |= {"DJANGO_SETTINGS_MODULE": "tests.settings", "LOG_LEVEL": "WARNING"}
    print(f"{events:,} events on {environment['DATABASE_URL'].partition(':')[0]}")
    for step in STEPS:
        started = time.monotonic()
        command = [sys.executable, "-m", "bench.audit_export", "--step", step]
        command += ["--events", str(events), "--folder", str(folder)]
        answer = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False
        )
        if answer.returncode:
            print(f"{step} ended with {answer.returncode}\n{answer.stderr}", file=sys.stderr)
            return 1
        told = json.loads(answer.stdout.splitlines()[-1])
        taken_s = time.monotonic() - started
        said = ", ".join(f"{name} {value}" for name, value in told.items())
        print(f"{step:<12} {taken_s:7.1f} s  {events / taken_s:9,.0f}/s  {said}", flush=True)
    return 0


def peak_mb() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def _portal() -> None:
    import django

    django.setup()


def fill(events: int, folder: Path) -> dict[str, object]:
    _portal()
    from django.core.management import call_command

    from audit.models import Event

    call_command("migrate", verbosity=0)
    for first in range(0, events, BATCH):
        Event.objects.bulk_create(_event(n) for n in range(first, min(first + BATCH, events)))
    return {"peak MB": peak_mb()}


def _event(number: int):
    from audit.models import Event

    kind = ("mfa:verify", "request:release", "request:approve", "grant:activate")[number % 4]
    return Event(
        at=START + timedelta(seconds=number),
        event=kind,
        actor_id=number % 500,
        actor_label=f"Person {number % 500} <person{number % 500}@example.org>",
        target_type="requests_app.accessrequest",
        target_id=str(number // 4),
        target_label=f"AR-{number // 4}",
        request_id=number // 4,
        request_label=f"AR-{number // 4}",
        address="192.0.2.7",
        user_agent="Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        metadata={
            "verification": number - number % 4,
            "authenticator": "Aegis on Pixel 8",
            "reason": "Look into the failed import, OPS-1.",
        },
    )


def seal(events: int, folder: Path) -> dict[str, object]:
    _portal()
    from django.utils import timezone

    from audit.integrity.checkpoints import write_checkpoints

    done = 0
    while count := write_checkpoints(timezone.now()):
        done += count
    assert done == events
    return {"peak MB": peak_mb()}


def _export(form: str, events: int, folder: Path) -> dict[str, object]:
    _portal()
    from audit.log.export import download, export_lines
    from audit.log.selectors import EventFilter

    answer = download(export_lines(EventFilter(), form), name="audit-log", file_format=form)
    first_peak, size, total = 0.0, 0, 0
    with (folder / f"export.{form}").open("wb") as file:
        for piece in answer:
            file.write(piece)
            size += len(piece)
            total += piece.count(b"\n")
            if not first_peak and total >= events / 10:
                first_peak = peak_mb()
    return {"MB": size // 2**20, "peak MB after a tenth": first_peak, "at the end": peak_mb()}


def export_csv(events: int, folder: Path) -> dict[str, object]:
    return _export("csv", events, folder)


def export_jsonl(events: int, folder: Path) -> dict[str, object]:
    return _export("jsonl", events, folder)


def verify_file(events: int, folder: Path) -> dict[str, object]:
    """Run the script alone, in a Python that sees no packages."""
    command = [sys.executable, "-I", "-S", str(SCRIPT), str(folder / "export.jsonl")]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"{events} events: {events} in the chain" in answer.stdout
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"peak MB": round(peak, 1)}


def verify_live(events: int, folder: Path) -> dict[str, object]:
    _portal()
    from audit.integrity.verification import verify_log

    report = verify_log()
    assert report.ok
    assert report.chained == events
    return {"peak MB": peak_mb()}


STEPS = {
    "fill": fill,
    "seal": seal,
    "export_csv": export_csv,
    "export_jsonl": export_jsonl,
    "verify_file": verify_file,
    "verify_live": verify_live,
}

if __name__ == "__main__":
    sys.exit(main())
