"""Random actions on random requests, against the two promises and the allowed transitions.

Each step is one action of a user, an admin, a worker, a target or the clock. After each, the portal and
the target are compared with `tests.stateful.truth`.

RUNS=2000 make stateful   runs many, each time others; the suite runs some, the same every time
"""

import os
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from accessflows.connectors import registry
from apono_portal.notifications.fan_out import fan_out
from audit.integrity.checkpoints import write_checkpoints
from requests_app.models import Grant, GrantState
from tests.stateful.admins import DISRUPTIONS, AdminActions
from tests.stateful.target import Mood
from tests.stateful.truth import OVER

ACTIONS = (
    *["go through"] * 6,
    *["submit"] * 2,
    *["disrupt that"] * 3,
    *["work"] * 2,
    *["extend"] * 2,
    *["pause"] * 2,
    *["code", "decide", "time", "end", "reveal", "disrupt", "mood", "die", "calm", "set up"],
    "clock back",
)
MEANWHILE = ("end", "extend", "reveal", "disrupt", "time", "work", "work", "clock back")
OF_REQUESTS = {"go through", "decide", "end", "reveal", "disrupt that", "extend"}
CODES = ("right", "right", "wrong", "used", "other's")
MINUTES = (30, 120, 1, 121)
SECONDS = (31, 600, 1800, 3599, 61, 3601, 1, 25 * 3600)
SECONDS_BACK = (2, 45, 600)
MOODS = (Mood.UP, Mood.DOWN, Mood.UP, Mood.LOSES_ANSWERS)


class RequestActions(AdminActions):
    # One rule of one number, not one for each action: hypothesis leaves whole rules out of an example
    # and likes to repeat what it drew, and a run in which nobody requests, say, shows nothing.
    @rule(luck=st.integers(0, 2**32 - 1))
    def act(self, luck: int) -> None:
        draw = Random(luck)
        self.do(draw.choice(ACTIONS), draw)

    def do(self, action: str, draw: Random) -> None:
        who, which, n = draw.choices(range(12), k=3)
        note(f"{action}: who {who}, which {which}, n {n}")
        if action in OF_REQUESTS and not self.expected:
            action = "submit"
        odd = bool(n % 2)
        {
            "set up": lambda: self.set_up_mfa(who),
            "code": lambda: self.enter_code(who, CODES[n % len(CODES)]),
            "submit": lambda: self.submit(who, which, MINUTES[n % len(MINUTES)]),
            "decide": lambda: self.decide(
                who, which, "reject" if n % 4 == 3 else "approve", proves=odd
            ),
            "end": lambda: self.end(who, which, by_admin=odd),
            "reveal": lambda: self.reveal_and_sign_in(who, which, proves=odd),
            "extend": lambda: self.extend(who, which, proves=n % 4 > 0),
            "go through": lambda: self.go_through_with_it(
                which, who, proves=n % 4 > 0, works=n % 3 > 0, enters=odd
            ),
            "disrupt": lambda: self.disrupt(DISRUPTIONS[n % len(DISRUPTIONS)], which, who),
            "disrupt that": lambda: self.disrupt_an_activation(
                DISRUPTIONS[n % len(DISRUPTIONS)], which, works=who % 4 > 0
            ),
            "time": lambda: self.pass_time(SECONDS[n % len(SECONDS)]),
            "clock back": lambda: self.pass_time(-SECONDS_BACK[n % len(SECONDS_BACK)]),
            "mood": lambda: self.target_becomes(MOODS[n % len(MOODS)]),
            "work": self.work,
            "die": lambda: self.work_and_die(1 + which % 6, after=odd),
            "pause": lambda: self.work_and_pause(
                1 + which % 6, after=odd, meanwhile=lambda: self.act_meanwhile(draw)
            ),
            "calm": self.calm,
        }[action]()

    def act_meanwhile(self, draw: Random) -> None:
        for action in draw.choices(MEANWHILE, k=3):
            self.do(action, draw)

    def teardown(self) -> None:
        try:
            self.calm()
            self.shift_clock(timedelta(days=3).total_seconds())
            self.settle()
            assert self.target.logins == {}
            for grant in Grant.objects.all():
                assert grant.state == GrantState.REMOVED
                assert grant.proof["holds"]
            self.every_status_came_by_the_table()
            self.nothing_was_activated_that_must_not_be()
            assert {expected.status for expected in self.expected.values()} <= OVER
            write_checkpoints(timezone.now())
            fan_out(timezone.now())
        finally:
            transaction.set_rollback(True)
            self.atomic.__exit__(None, None, None)
            self.clock.stop()


MANY = int(os.environ.get("RUNS", "0"))


@pytest.mark.django_db
def test_random_actions_keep_the_two_promises(monkeypatch, settings):
    settings.WORKER_LEASE, settings.WORKER_INTERVAL_S = timedelta(seconds=-1), -2  # run out at once
    honest = replace(registry.kind_named("postgresql"), connector="tests.stateful.target:connector")
    monkeypatch.setattr(registry, "kinds", lambda: {"postgresql": honest})
    run_state_machine_as_test(RequestActions, settings=PROFILE)


PROFILE = settings(
    max_examples=MANY or (14 if connection.vendor == "sqlite" else 6),
    stateful_step_count=40,
    derandomize=not MANY,
    phases=[Phase.generate, Phase.shrink] if MANY else [Phase.generate],
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
