"""The run: every scenario one after the other, progress on the way, figures at the end."""

import logging
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import structlog

from accessflows.connectors import idle_pool
from apono_portal.demo.postgres_server import available_versions
from bench.chaos.cost import LARGEST_RATIO, measure_activation, measure_sweep
from bench.chaos.ground import LEASE_S, Ground
from bench.chaos.line import Line
from bench.chaos.portal import Portal, TooBusy
from bench.chaos.scenarios import crowds, killed, outages
from bench.chaos.stage import Saboteur, Stage
from bench.chaos.verdict import Verdict, print_table, write

SCENARIOS: dict[str, Callable[[Stage], Verdict]] = {
    "opening": killed.killed_while_opening,
    "ending": killed.killed_while_ending,
    "expiring": killed.expiry_killed,
    "beside": killed.killed_while_others_work,
    "target": outages.target_stopped,
    "line": outages.line_cut,
    "database": outages.database_lost,
    "race": crowds.workers_race,
    "storm": crowds.storm,
}
ORDINARY = 20


def run(ground: Ground, options: Namespace) -> int:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    idle_pool.connections.is_enabled = True  # what is opened is shown sooner
    started = time.monotonic()
    line = Line(ground.target_server.host, ground.target_server.port)
    stage = Stage(
        ground,
        Portal.fill(ground, line.port),
        line,
        Saboteur(ground),
        size=min(ORDINARY, options.grants),
        storm=options.grants,
        say=_progress(started),
    )
    stage.measure_pace()
    verdicts: list[Verdict] = []
    chosen = options.only or list(SCENARIOS)
    for number, name in enumerate(chosen, start=1):
        stage.say(f"[{number}/{len(chosen)}] {name}")
        verdicts.append(_play(SCENARIOS[name], stage))
        stage.say(f"[{number}/{len(chosen)}] {name}: {verdicts[-1]}")
    costs = measure_costs(stage, options) if not options.only or options.costs else {}
    stage.saboteur.close()
    idle_pool.connections.stop()
    print()
    print_table(verdicts)
    storm = next((each for each in verdicts if each.name == "all end in one second"), None)
    extra = {
        "postgresql": ground.version,
        "lease_s": LEASE_S,
        **costs,
        "took_s": round(time.monotonic() - started),
    }
    newest = max(available_versions())
    name = "chaos.json" if ground.version == newest else f"chaos-postgresql-{ground.version}.json"
    if not options.only:
        write(name, verdicts, storm, extra)
    for name, cost in costs.items():
        print(f"  {name}: {cost}")
    return 0 if all(each.holds for each in verdicts) and costs_hold(costs) else 1


def _play(scenario: Callable[[Stage], Verdict], stage: Stage) -> Verdict:
    """Play a scenario, and again with more time if the machine turned out slower than measured."""
    for _ in range(2):
        try:
            return scenario(stage)
        except TooBusy as busy:
            stage.pace_s *= 2
            stage.say(f"{busy} Once more, with more time.")
            stage.need_workers(2)
            stage.portal.wait_quiet(300)
    return scenario(stage)


def measure_costs(stage: Stage, options: Namespace) -> dict[str, Any]:
    stage.say("costs: an activation beside the bare SQL")
    activation = measure_activation(stage)
    stage.say(f"costs: an idle sweep beside {options.past} past grants")
    return {"activation": activation.as_dict(), "sweep": asdict(measure_sweep(stage, options.past))}


def costs_hold(costs: dict[str, Any]) -> bool:
    return not costs or (
        costs["activation"]["ratio"] <= LARGEST_RATIO and not costs["sweep"]["scanned"]
    )


def _progress(started: float) -> Callable[[str], None]:
    def say(text: str) -> None:
        print(f"{time.monotonic() - started:7.1f} s  {text}", flush=True)

    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    return say
