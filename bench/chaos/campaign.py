"""The run: every scenario one after the other, progress on the way, figures at the end."""

import logging
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import structlog

from accessflows.connectors import idle_pool
from apono_portal.demo.postgres_server import available_versions
from bench.chaos.environment import LEASE_S, Environment
from bench.chaos.portal import Portal, TooBusy
from bench.chaos.scenario import FaultInjector, ScenarioContext
from bench.chaos.scenarios import copies, crowds, killed, outages, servers, silences, suspended
from bench.chaos.tcp_proxy import TcpProxy
from bench.chaos.verdict import Verdict, print_table, summary
from bench.environment import RESULTS
from bench.report import write_json

SCENARIOS: dict[str, Callable[[ScenarioContext], Verdict]] = {
    "opening": killed.killed_while_activating,
    "ending": killed.killed_while_ending,
    "expiring": killed.killed_while_expiring,
    "beside": killed.killed_beside_others,
    "target": outages.target_stopped,
    "line": outages.line_cut,
    "database": outages.database_lost,
    "silent": silences.database_silent,
    "hanging": silences.target_hangs,
    "activation-suspended": suspended.suspended_while_activating,
    "containment-suspended": suspended.suspended_while_containing,
    "cleaning-suspended": suspended.suspended_while_cleaning,
    "copy": copies.database_copied,
    "restored": servers.target_restored,
    "replaced": servers.target_replaced,
    "slots": servers.slots_taken,
    "race": crowds.workers_race,
    "storm": crowds.storm,
    "storm-hanging": silences.storm_beside_hanging,
}
ORDINARY_SIZE = 20


def run(environment: Environment, options: Namespace) -> int:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    idle_pool.connections.is_enabled = True  # credentials are revealed sooner
    started = time.monotonic()
    proxy = TcpProxy(environment.target_server.host, environment.target_server.port)
    context = ScenarioContext(
        environment, Portal(environment, proxy.port), proxy, FaultInjector(environment),
        size=min(ORDINARY_SIZE, options.grants), storm_size=options.grants, silence_s=options.silence,
        say=lambda text: print(f"{time.monotonic() - started:7.1f} s  {text}", flush=True),
    )  # fmt: skip
    context.measure_pace()
    verdicts: list[Verdict] = []
    names = options.only or list(SCENARIOS)
    for number, name in enumerate(names, start=1):
        context.say(f"[{number}/{len(names)}] {name}")
        verdicts.append(_run_scenario(SCENARIOS[name], context))
        context.say(f"[{number}/{len(names)}] {name}: {verdicts[-1]}")
    context.faults.close()
    idle_pool.connections.stop()
    print_table(verdicts)
    storm = verdicts[names.index("storm")] if "storm" in names else None
    version = environment.version
    content = {"postgresql": version, "lease_s": LEASE_S, **summary(verdicts, storm)}
    content["seconds"] = round(time.monotonic() - started)
    is_newest = version == max(available_versions())
    file = RESULTS / ("chaos.json" if is_newest else f"chaos-postgresql-{version}.json")
    if options.out or not options.only:
        write_json(Path(options.out or file), content)
    return 0 if all(verdict.holds for verdict in verdicts) else 1


def _run_scenario(
    scenario: Callable[[ScenarioContext], Verdict], context: ScenarioContext
) -> Verdict:
    """Run a scenario, again with more time if the machine turned out slower than measured."""
    for _ in range(2):
        try:
            return scenario(context)
        except TooBusy as busy:
            context.pace_s *= 2
            context.say(f"{busy} Once more, with more time.")
            context.environment.ensure_workers(2)
            context.portal.wait_until_idle(300)
    return scenario(context)
