"""Forgery: requests from other sites, redirects to other sites, device cookies nobody was given."""

import base64
import secrets
from urllib.parse import quote, urlsplit

from bench.attack.actions import enrol, reset_mfa
from bench.attack.campaign import Campaign, attack, run_robots
from bench.attack.client import SIGN_IN, STEP_UP, Client
from bench.attack.scoring import Score
from bench.environment import InvalidRun

OTHER_SITES = (
    "https://evil.example/", "//evil.example/", "///evil.example", "/\\evil.example", "\\\\evil.example",
    "http:evil.example", "https:///evil.example", "javascript:alert(1)", "/\t/evil.example", "%2f%2fevil.example",
    "http://127.0.0.1@evil.example/", "http://127.0.0.1.evil.example/", "//evil.example\\@127.0.0.1/",
    "data:text/html,owned", "\x00//evil.example", " //evil.example", "https://127.0.0.1:8443/", "/%09/evil.example",
)  # fmt: skip


@attack("cross-site requests", share=0.18)
def csrf(campaign: Campaign, score: Score, budget: int) -> None:
    """Send what a page elsewhere can make the browser of somebody verified send."""
    owner = campaign.verified(campaign.next_owner())
    admin = campaign.admin()
    person, flow = campaign.people["otto"].id, campaign.flows["ledger"]
    text = "From another site."
    access = {"target": str(flow["target"]), "duration": "30m", "justification": text}
    new_password = {"new_password1": "x" * 14, "new_password2": "x" * 14}
    writes = [
        (owner, "/requests/new/", access),
        (owner, "/account/security/close-window/", {}),
        (owner, "/account/security/recovery-codes/", {}),
        (owner, "/account/password/", {"old_password": owner.person.password, **new_password}),
        (owner, "/sign-out/", {}),
        (admin, f"/users/{person}/reset-mfa/", {"reason": text}),
        (admin, f"/users/{person}/deactivate/", {"reason": text}),
        (admin, f"/access-flows/{flow['id']}/deactivate/", {}),
        (admin, "/users/new/", {"email": "evil@example.org", "name": "Evil", "role": "admin"}),
    ]

    def robot(number: int) -> None:
        turn = number
        while score.attempts < budget:
            client, url, data = writes[turn % len(writes)]
            twin = client.twin()
            for token, headers in _forged_origins(twin.browser.csrf_token()):
                score.add_attempts()
                fields = data if token is None else {**data, "csrfmiddlewaretoken": token}
                response = twin.browser.post(url, fields, csrf=bool(headers), **headers)
                if response.status not in {403, 404, 405}:
                    score.add_success(f"{url} was accepted from another site")
            twin.browser.close()
            turn += 1

    run_robots(robot)
    if not owner.window_is_open() or not admin.window_is_open():
        score.add_success("another site closed a window or a session")
    if owner.request_numbers():
        score.add_success("another site made a request")


def _forged_origins(token: str) -> list[tuple[str | None, dict[str, str]]]:
    """Return what another site can send: a token of its own or none, and headers.

    Without headers nothing is added; with headers and no token, the victim's own token is sent.
    """
    return [
        (None, {}),
        (secrets.token_hex(16), {}),
        (None, {"Origin": "https://evil.example"}),
        (None, {"Origin": "null"}),
        ("", {"Origin": "http://127.0.0.1"}),
        (None, {"Origin": "http://127.0.0.1.evil.example", "Referer": "http://127.0.0.1/"}),
        (token[::-1], {"Referer": "https://evil.example/"}),
    ]


@attack("open redirects", share=0.01)
def redirects(campaign: Campaign, score: Score, budget: int) -> None:
    """Attempt every page that accepts ``next``, with every way to write another site."""
    owner = campaign.signed_in(campaign.next_owner())
    while score.attempts < budget or not score.attempts:
        for site in OTHER_SITES:
            client = campaign.client(owner.person, "127.8.1.1")
            responses = [
                client.submit_password(client.person.password, next=site),
                client.browser.get(f"{SIGN_IN}?next={quote(site)}"),
                client.browser.post("/theme/", {"theme": "dark", "next": site}),
                client.browser.get(f"{STEP_UP}?next={quote(site)}"),
                client.browser.post(f"{STEP_UP}?next={quote(site)}", {"code": "12", "next": site}),
                client.browser.post("/sign-out/", {"next": site}),
                client.browser.get(f"/sign-out/?next={quote(site)}"),
                client.browser.get(f"/admin/login/?next={quote(site)}"),
            ]
            score.add_attempts(len(responses))
            for response in responses:
                if _leads_elsewhere(response.location):
                    score.add_success(f"{response.url} leads to {response.location!r}")
            client.browser.close()
    verified = campaign.signed_in(campaign.next_owner(), "127.8.1.2")
    for steps, site in zip((-1, 0, 1), OTHER_SITES, strict=False):
        score.add_attempts()
        response = verified.submit_code(verified.code(steps), next=site)
        if _leads_elsewhere(response.location):
            score.add_success(f"a right code leads to {response.location!r}")


def _leads_elsewhere(location: str) -> bool:
    """Read an address as browsers do: backslashes are slashes, leading blanks and controls dropped."""
    cleaned = "".join(c for c in location if c not in "\t\r\n").lstrip("".join(map(chr, range(33))))
    cleaned = cleaned.replace("\\", "/")
    address = urlsplit(cleaned)
    is_absolute = cleaned.startswith("//") or bool(address.scheme)
    is_portal = address.hostname == "127.0.0.1" and not address.port
    return is_absolute and not (address.scheme in {"http", ""} and is_portal)


@attack("device cookies, forged", share=0.02)
def device_cookies(campaign: Campaign, score: Score, budget: int) -> None:
    """With the shared limit used up, a made-up cookie must not give a limit of its own."""
    trusted = campaign.verified(campaign.next_owner(), "127.8.2.1")
    [(name, value)], victim = trusted.device_cookies.items(), campaign.people["oona"]
    cookie = name.replace(str(trusted.person.id), str(victim.id))
    _use_up_limit(campaign.signed_in(victim, "127.8.2.2"))

    def robot(number: int) -> None:
        client = campaign.signed_in(victim, f"127.8.3.{number + 1}")
        while score.attempts < budget:
            for forged in _forged_cookies(value, victim.id):
                score.add_attempts()
                client.browser.cookies[cookie] = forged
                response = client.submit_code(client.code())
                if response.status == 302 and response.path.startswith(SIGN_IN):
                    client.sign_in()
                elif response.status == 302 and client.window_is_open():
                    score.add_success("a forged device cookie gave a limit of its own")
                    return

    run_robots(robot, threads=4)


def _use_up_limit(thief: Client) -> None:
    """Enter as many wrong codes as untrusted browsers may in 15 minutes."""
    for _ in range(8):
        if thief.submit_code(thief.wrong_code()).status == 429:
            return
        if not thief.is_signed_in():
            thief.sign_in()
    raise InvalidRun("The limit of untrusted browsers was not met")


def _forged_cookies(value: str, victim: int) -> list[str]:
    body, _, signature = value.rpartition(":")
    content = f'[{victim},"{secrets.token_urlsafe(16)}"]'.encode()
    payload = base64.urlsafe_b64encode(content).decode()
    return [
        value, f"{payload.rstrip('=')}:{signature}", f"{body}:{secrets.token_urlsafe(32)}", value[:-2],
        value.swapcase(), value.replace(":", ""), f'"{value}"', str(victim), "trusted:1", "1",
        f'[{victim}, "x"]', payload,
    ]  # fmt: skip


@attack("device cookies, used again after a reset", share=0.0003)
def device_cookie_after_reset(campaign: Campaign, score: Score, budget: int) -> None:
    """After a reset and a new set-up, the old browser is an untrusted one like any other."""
    person = campaign.take_person()
    cookies = campaign.verified(person, "127.8.4.1").device_cookies
    reset_mfa(campaign.admin(), person)
    owner = campaign.signed_in(person)
    enrolled, _, _ = enrol(owner)
    _use_up_limit(campaign.signed_in(enrolled, "127.8.4.2"))
    thief = campaign.signed_in(enrolled, "127.8.4.3")
    thief.browser.cookies.update(cookies)
    for steps in (0, 1):
        score.add_attempts()
        thief.submit_code(thief.code(steps))
        if thief.window_is_open():
            score.add_success("a device cookie outlived a reset")
    if not owner.is_signed_in():
        raise InvalidRun("The owner's session ended with the thief's attempts")
