"""The sign-in page while 64 connections try passwords, hashed as in production.

First every attempt is for another made-up name and comes from another network, then all come from one
IPv6 /64. Meanwhile somebody opens the page, and an owner signs in with a browser that is known.
"""

import argparse
import itertools
import multiprocessing
import re
import selectors
import socket
import statistics
import time
from collections import Counter
from collections.abc import Callable
from ipaddress import IPv6Address
from typing import Any, cast

from bench.browser import FORM_TYPE, Browser
from bench.environment import HOST
from bench.report import Figure
from bench.speed.clients import CSRF_TOKEN, expect
from bench.speed.environment import running_environment

DATABASE, PAGE = "sign_in", "/sign-in/"
CONNECTIONS, FLOOD_S = 64, 5.0
EMAIL, PASSWORD = "owner@example.org", "correct-horse-battery-staple"
MAX_P95_MS, MAX_MEMORY_MB, MAX_COMPARED = 500, 200, 30


def measure(options: argparse.Namespace) -> list[Figure]:
    with running_environment() as environment:
        application = environment.create_database(DATABASE)
        application.call("bench.speed.sign_in:make_owner")
        with environment.running_web(DATABASE, TRUSTED_PROXIES="1") as web:
            owner = _sign_in_once(web.port)
            spread, page_ms, owner_ms = _under_attack(web.port, owner, "many networks")
            one, _, _ = _under_attack(web.port, owner, "one network")
            return _figures(spread, one, page_ms, owner_ms, web.memory_mb())


def make_owner() -> None:
    from apono_portal.users.models import User

    User.objects.create_user(email=EMAIL, name="Olga Owner", password=PASSWORD)


def _sign_in_once(port: int) -> Browser:
    """Return a browser in which the owner has signed in, and out."""
    browser = Browser([port])
    browser.forwarded_for = "192.0.2.1"
    browser.cookies["csrf"] = CSRF_TOKEN
    _sign_in(browser)
    return browser


def _sign_in(browser: Browser) -> None:
    browser.cookies.pop("session", None)
    fields = {"csrfmiddlewaretoken": CSRF_TOKEN, "username": EMAIL, "password": PASSWORD}
    response = browser.post(PAGE, fields)
    expect(response.status == 302, "sign-in of the owner", response)
    browser.cookies["csrf"] = CSRF_TOKEN


def _under_attack(
    port: int, owner: Browser, origin: str
) -> tuple[Counter[int], list[float], list[float]]:
    """Return the attackers' statuses, and how long pages and sign-ins of the owner took."""
    statuses: Any = multiprocessing.Queue()
    attack = multiprocessing.Process(target=_attack, args=(port, origin, statuses), daemon=True)
    attack.start()
    time.sleep(1)
    visitor, page_ms, owner_ms = Browser([port]), [], []
    stop_at = time.monotonic() + FLOOD_S - 1.5
    while time.monotonic() < stop_at:
        page_ms += [_timed(lambda: visitor.get(PAGE)) for _ in range(5)]
        owner_ms.append(_timed(lambda: _sign_in(owner)))
    result = statuses.get(timeout=60)
    attack.join()
    return Counter(result), page_ms, owner_ms


def _timed(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return 1000 * (time.perf_counter() - started)


def _attack(port: int, origin: str, statuses: Any) -> None:
    """Try passwords over all connections for a while, and put the statuses of the answers.

    One thread and ready-made bytes, so that the attack costs little of the machine it shares.
    """
    seen: Counter[int] = Counter()
    numbers, stop_at = itertools.count(1), time.monotonic() + FLOOD_S
    selector = selectors.DefaultSelector()
    for _ in range(CONNECTIONS):
        connection = socket.create_connection((HOST, port))
        selector.register(connection, selectors.EVENT_READ, bytearray())
        connection.sendall(_attempt(next(numbers), origin))
    while time.monotonic() < stop_at:
        for key, _ in selector.select(timeout=1):
            connection, received = cast(socket.socket, key.fileobj), key.data
            received += connection.recv(65536)
            if _is_complete(received):
                seen[int(received[9:12])] += 1
                received.clear()
                connection.sendall(_attempt(next(numbers), origin))
    statuses.put(dict(seen))


def _attempt(number: int, origin: str) -> bytes:
    network = number if origin == "many networks" else 0
    address = IPv6Address((0x20010DB8 << 96) + (network << 64) + number)
    body = f"csrfmiddlewaretoken={CSRF_TOKEN}&username=u{number}%40example.org&password=wrong-horse-battery"
    return (
        f"POST {PAGE} HTTP/1.1\r\nHost: {HOST}\r\nOrigin: http://{HOST}\r\nContent-Type: {FORM_TYPE}\r\n"
        f"Cookie: csrf={CSRF_TOKEN}\r\nX-Forwarded-For: {address}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def _is_complete(received: bytearray) -> bool:
    head, separator, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    return bool(separator) and length is not None and len(body) >= int(length[1])


def _figures(
    spread: Counter[int],
    one: Counter[int],
    page_ms: list[float],
    owner_ms: list[float],
    memory_mb: float,
) -> list[Figure]:
    p95_ms = statistics.quantiles(page_ms, n=20)[-1]
    return [
        Figure("sign-in page meanwhile, p95", round(p95_ms), "ms", bar=MAX_P95_MS),
        Figure("owner's sign-in meanwhile, p50", round(statistics.median(owner_ms)), "ms"),
        Figure("owner's sign-in meanwhile, slowest", round(max(owner_ms)), "ms"),
        Figure("largest web process", round(memory_mb), "MB", bar=MAX_MEMORY_MB),
        Figure("passwords of many networks compared", spread[422], ""),
        Figure("passwords of many networks refused", spread[503] + spread[429], ""),
        Figure("passwords of one network compared", one[422], "", bar=MAX_COMPARED),
        Figure("passwords of one network refused", one[503] + one[429], ""),
    ]
