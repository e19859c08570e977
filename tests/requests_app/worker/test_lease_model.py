"""Every order of every step keeps the promises, and no fencing rule is there for nothing."""

import pytest

from tests.requests_app.worker.explorer import explore, states_without_end
from tests.requests_app.worker.lease_model import SCENARIOS, Model


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_leases_and_fencing_hold_in_every_order(scenario):
    graph, why, way = explore(Model(), SCENARIOS[scenario])
    assert not why, "\n".join([why, *way])
    assert len(graph) > 2000
    assert states_without_end(graph) == 0


@pytest.mark.parametrize(
    ("rule", "scenario", "consequence"),
    [
        ("only what is activating becomes active", "credential", "what ended was activated"),
        ("late login is removed", "credential", "a login is left behind a proof"),
        ("proof is of the login that is known", "credential", "a login is left behind a proof"),
        ("disabled login gets no password", "credential", "access outlives its end"),
        ("disabled login is not extended", "extension and credential", "access outlives its end"),
        ("adopted login keeps its extension", "extension and watchdog", "access is cut"),
        (
            "watchdog asks the target for a later deadline",
            "extension and watchdog",
            "access is cut",
        ),
        ("extension moves the target first", "extension and watchdog", "access is cut"),
        ("extension is confirmed in time", "extension and watchdog", "access is cut"),
    ],
)
def test_broken_rule_is_detected(rule, scenario, consequence):
    _, why, _ = explore(Model(rule), SCENARIOS[scenario])
    assert consequence in why
