"""Forgery: requests from other sites, redirects to other sites, device cookies nobody was given."""

import base64
import secrets
from urllib.parse import quote, urlsplit

from bench.attack.campaign import THREADS, Campaign, Unexpected, attack, many
from bench.attack.moves import reset_mfa, turn_on
from bench.attack.tally import Score
from bench.attack.visitor import SIGN_IN, STEP_UP, Visitor, made_up_token

ELSEWHERE = [
    "https://evil.example/", "//evil.example/", "///evil.example", "/\\evil.example", "\\\\evil.example",
    "http:evil.example", "https:///evil.example", "javascript:alert(1)", "/\t/evil.example", "%2f%2fevil.example",
    "http://127.0.0.1@evil.example/", "http://127.0.0.1.evil.example/", "//evil.example\\@127.0.0.1/",
    "data:text/html,owned", "\x00//evil.example", " //evil.example", "https://127.0.0.1:8443/", "/%09/evil.example",
]  # fmt: skip


@attack("cross-site requests", share=0.18)
def csrf(campaign: Campaign, score: Score, budget: int) -> None:
    """What a page elsewhere can make the browser of somebody verified send."""
    owner = campaign.verified(campaign.owner())
    admin = campaign.admin()
    person = campaign.people["otto"].id
    flow = campaign.flows["ledger"]
    writes = [
        (owner, "/requests/new/", {"target": str(flow["target"]),
                                   "duration": "30m", "justification": "From another site."}),
        (owner, "/account/security/close-window/", {}),
        (owner, "/account/security/recovery-codes/", {}),
        (owner, "/account/password/", {"old_password": owner.person.password, "new_password1": "x" * 14,
                                       "new_password2": "x" * 14}),
        (owner, "/sign-out/", {}),
        (admin, f"/users/{person}/reset-mfa/", {"reason": "From another site."}),
        (admin, f"/users/{person}/deactivate/", {"reason": "From another site."}),
        (admin, f"/access-flows/{flow['id']}/deactivate/", {}),
        (admin, "/users/new/", {"email": "evil@example.org", "name": "Evil", "role": "admin"}),
    ]  # fmt: skip

    def robot(number: int) -> None:
        turn = number
        while score.attempts < budget:
            visitor, url, data = writes[turn % len(writes)]
            twin = visitor.twin()
            for wrong in range(7):
                score.tried()
                if _from_elsewhere(twin, url, data, wrong).status not in {403, 404, 405}:
                    score.got(f"{url} was taken from another site")
            twin.browser.close()
            turn += 1

    many(lambda n=n: robot(n) for n in range(THREADS))
    if not owner.window_is_open() or not admin.window_is_open():
        score.got("another site closed a window or a session")
    if owner.references():
        score.got("another site made a request")


def _from_elsewhere(twin: Visitor, url: str, data: dict[str, str], wrong: int):  # type: ignore[no-untyped-def]
    browser, token = twin.browser, twin.browser.csrf_token()
    if wrong == 0:
        return browser.post(url, data, csrf=False)
    if wrong == 1:
        return browser.post(url, {**data, "csrfmiddlewaretoken": made_up_token()})
    if wrong == 2:
        return browser.post(url, data, ClientInfo="https://evil.example")
    if wrong == 3:
        return browser.post(url, data, ClientInfo="null")
    if wrong == 4:
        return browser.post(url, {**data, "csrfmiddlewaretoken": ""}, ClientInfo="http://127.0.0.1")
    if wrong == 5:
        return browser.post(
            url, data, ClientInfo="http://127.0.0.1.evil.example", Referer="http://127.0.0.1/"
        )
    return browser.post(
        url, {**data, "csrfmiddlewaretoken": token[::-1]}, Referer="https://evil.example/"
    )


@attack("open redirects", share=0.01)
def redirects(campaign: Campaign, score: Score, budget: int) -> None:
    """Every place that takes a ``next``, with every way to write another site."""
    owner = campaign.signed_in(campaign.owner())
    checked = 0
    while score.attempts < budget or not checked:
        for there in ELSEWHERE:
            visitor = campaign.as_(owner.person, "127.8.1.1")
            answers = [
                visitor.try_password(visitor.person.password, next=there),
                visitor.browser.get(f"{SIGN_IN}?next={quote(there)}"),
                visitor.browser.post("/theme/", {"theme": "dark", "next": there}),
                visitor.browser.get(f"{STEP_UP}?next={quote(there)}"),
                visitor.browser.post(
                    f"{STEP_UP}?next={quote(there)}", {"code": "12", "next": there}
                ),
                visitor.browser.post("/sign-out/", {"next": there}),
                visitor.browser.get(f"/sign-out/?next={quote(there)}"),
                visitor.browser.get(f"/admin/login/?next={quote(there)}"),
            ]
            score.tried(len(answers))
            for answer in answers:
                if answer.location and _leads_elsewhere(answer.location):
                    score.got(f"{answer.url} leads to {answer.location!r}")
            visitor.browser.close()
        checked += 1
    verified = campaign.signed_in(campaign.owner(), "127.8.1.2")
    for steps, there in zip((-1, 0, 1), ELSEWHERE[:3], strict=True):
        score.tried()
        answer = verified.try_code(verified.code(steps), next=there)
        if answer.location and _leads_elsewhere(answer.location):
            score.got(f"a right code leads to {answer.location!r}")


def _leads_elsewhere(location: str) -> bool:
    """As browsers read it: backslashes are slashes, blanks and controls at the start are dropped."""
    read = "".join(c for c in location if c not in "\t\r\n").lstrip("".join(map(chr, range(33))))
    read = read.replace("\\", "/")
    there = urlsplit(read)
    if read.startswith("//") or there.scheme:
        return not (
            there.scheme in {"http", ""} and there.hostname == "127.0.0.1" and not there.port
        )
    return False


@attack("device cookies, forged", share=0.02)
def device_cookies(campaign: Campaign, score: Score, budget: int) -> None:
    """With the shared limit used up, a made-up cookie must not give a limit of its own."""
    known = campaign.verified(campaign.owner(), "127.8.2.1")
    own = {k: v for k, v in known.browser.cookies.items() if "trusted-browser" in k}
    if not own:
        raise Unexpected("A right code did not make the browser known")
    (name, value), victim = next(iter(own.items())), campaign.people["oona"]
    theirs = name.replace(str(known.person.id), str(victim.id))
    thief = campaign.signed_in(victim, "127.8.2.2")
    _use_up(campaign, thief)

    def robot(number: int) -> None:
        visitor = campaign.signed_in(victim, f"127.8.3.{number + 1}")
        while score.attempts < budget:
            for forged in _forged(value, known.person.id, victim.id):
                score.tried()
                visitor.browser.cookies[theirs] = forged
                answer = visitor.try_code(visitor.code())
                if answer.status == 302 and answer.path.startswith(SIGN_IN):
                    visitor.sign_in()
                elif answer.status == 302 and visitor.window_is_open():
                    score.got("a forged device cookie gave a limit of its own")
                    return

    many(lambda n=n: robot(n) for n in range(4))


def _use_up(campaign: Campaign, thief: Visitor) -> None:
    """Spend what the unknown browsers of this person may try in 15 minutes."""
    for _ in range(8):
        if thief.try_code(thief.wrong_code()).status == 429:
            return
        if not thief.is_signed_in():
            thief.sign_in()
    raise Unexpected("The limit of unknown browsers was not met")


def _forged(value: str, own: int, victim: int) -> list[str]:
    body, _, signature = value.rpartition(":")
    payload = base64.urlsafe_b64encode(
        f'[{victim},"{secrets.token_urlsafe(16)}"]'.encode()
    ).decode()
    return [
        value,
        f"{payload.rstrip('=')}:{signature}",
        f"{body}:{secrets.token_urlsafe(32)}",
        value[:-2],
        value.swapcase(),
        value.replace(":", ""),
        f'"{value}"',
        f"{victim}",
        "trusted:1",
        "1",
        f'[{victim}, "x"]',
        payload,
    ]


@attack("device cookies, used again after a reset", share=0.0003)
def device_cookie_after_reset(campaign: Campaign, score: Score, budget: int) -> None:
    """After a reset and a new set-up, the old browser is an unknown one like any other."""
    person = campaign.spend()
    old = campaign.verified(person, "127.8.4.1")
    kept = {k: v for k, v in old.browser.cookies.items() if "trusted-browser" in k}
    reset_mfa(campaign.admin(), person)
    owner, secret, _, _ = turn_on(campaign.signed_in(person))
    knowing = person.with_secret(secret)
    thief = campaign.signed_in(knowing, "127.8.4.2")
    _use_up(campaign, thief)
    thief = campaign.signed_in(knowing, "127.8.4.3")
    thief.browser.cookies.update(kept)
    for steps in (0, 1):
        score.tried()
        thief.try_code(thief.code(steps))
        if thief.window_is_open():
            score.got("a device cookie outlived a reset")
    if not owner.is_signed_in():
        raise Unexpected("The owner's session ended with the thief's attempts")
