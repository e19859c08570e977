"""Ends are remembered by the thousand in few bytes, to the microsecond and without losing whose."""

import tracemalloc
import uuid
from datetime import UTC, datetime, timedelta

from accessflows.connectors.protocol import GrantIdentity, role_name_of
from requests_app.worker.deadline_index import Ends

FIRST = datetime(2030, 1, 1, 12, 0, 0, 123457, tzinfo=UTC)
LAST_OID = 2**32 - 1


def rows(number: int):
    for each in range(number):
        yield uuid.uuid4(), 7, FIRST + timedelta(seconds=each), LAST_OID - each, str(each % 2)


def test_what_was_put_in_comes_out():
    told = list(rows(3))
    ends = Ends(told)
    for number, (key, integration_id, deadline, oid, server) in enumerate(told):
        assert ends.identity(number) == GrantIdentity(role_name_of(key), oid, server)
        assert (ends.key(number), ends.deadline(number)) == (key, deadline)
        assert ends.integration_id(number) == integration_id
    assert list(ends.keys()) == [key for key, *_ in told]


def test_until_a_moment_is_with_it_and_not_after_it():
    ends = Ends(rows(3))
    assert list(ends.until(FIRST - timedelta(microseconds=1))) == []
    assert list(ends.until(FIRST + timedelta(seconds=1))) == [0, 1]
    assert len(ends.until(FIRST + timedelta(days=1))) == len(ends)


def test_an_end_that_was_moved_has_another_mark():
    key = uuid.uuid4()
    one, moved = (Ends([(key, 7, at, 1, "1")]) for at in (FIRST, FIRST + timedelta(seconds=1)))
    assert one.mark(0) != moved.mark(0)
    assert one.mark(0) == Ends([(key, 7, FIRST, 1, "1")]).mark(0)


def test_ten_thousand_take_less_than_a_megabyte():
    tracemalloc.start()
    ends = Ends(rows(10_000))
    held, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(ends) == 10_000
    assert held < most < 1_000_000
