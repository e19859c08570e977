"""What a right code, a wrong code, the verification page and a request cost, beside a bare Django."""

import argparse
import statistics

from bench.report import Figure
from bench.speed.clients import BaselineClients, PortalClients
from bench.speed.environment import BASELINE, running_environment
from bench.speed.interleaving import Operation, interleave, median_ratio

PEOPLE = 700  # of each kind: nobody is asked for more than three codes in a run
WINDOWS, CLIENTS = 9, 2
RIGHT_CODE, PAGE = "verify: right code", "verify: verification page"
# The most each operation may cost in web CPU, as a multiple of the baseline's form or page.
BARS = {
    RIGHT_CODE: 2.6,
    "verify: wrong code": 2.4,
    PAGE: 2.0,
    "submit: protected request": 2.4,
}
MAX_TOTAL = 3.0  # of a right code, web and database CPU together


def measure(options: argparse.Namespace) -> list[Figure]:
    with running_environment() as environment:
        print("  Making a baseline and a portal with people who are signed in", flush=True)
        application = environment.create_database(BASELINE)
        people = application.call("bench.speed.baseline.fill:fill", number=PEOPLE)
        baseline = BaselineClients(people)
        groups = {"verify": PEOPLE, "wrong": PEOPLE, "page": 50, "submit": 50}
        application = environment.create_database("portal")
        filled = application.call("bench.speed.fill:fill", groups=groups, verified=["submit"])
        portal = PortalClients(**filled)
        for database in (BASELINE, "portal"):
            environment.analyze(database)
        with environment.running_web(BASELINE) as bare, environment.running_web("portal") as web:
            form = Operation("baseline: form", bare, baseline.submit_form)
            page = Operation("baseline: page", bare, baseline.get_page)
            calls = (portal.submit_right_code, portal.submit_wrong_code,
                     portal.get_verification_page, portal.submit_request)  # fmt: skip
            operations = [Operation(name, web, run) for name, run in zip(BARS, calls, strict=True)]
            interleave(environment, [form, page, *operations], windows=WINDOWS, clients=CLIENTS)
    figures = [*_figures(form, form), *_figures(page, form)]
    for operation in operations:
        figures += _figures(operation, page if operation.name == PAGE else form)
    return figures


def _figures(operation: Operation, baseline: Operation) -> list[Figure]:
    """Return what an operation costs, with its ratios to one of the baseline's."""
    name = operation.name
    rows = (
        ("web CPU", operation.web_ms, baseline.web_ms, BARS.get(name)),
        ("database CPU", operation.database_ms, baseline.database_ms, None),
        ("web and database CPU", operation.total_ms, baseline.total_ms,
         MAX_TOTAL if name == RIGHT_CODE else None),
    )  # fmt: skip
    figures = []
    for kind, values, others, bar in rows:
        value, ratio = statistics.median(values), median_ratio(values, others)
        figures.append(Figure(f"{name}, {kind}", round(value, 3), "ms", round(ratio, 2), bar))
    return [*figures, Figure(f"{name}, p50", round(operation.p50(), 2), "ms")]
