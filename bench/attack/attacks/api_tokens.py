"""Tokens of the API: made up, stolen, of too few scopes, and after their person's reset."""

import itertools
import json
import secrets
from collections.abc import Callable

from apono_portal.api.tokens.secrets import new_secret
from bench.attack.actions import change_password, deactivate, reset_mfa
from bench.attack.api_client import API, APONO_API, ApiCaller, create_token
from bench.attack.attacks.races import activate
from bench.attack.campaign import RACERS, THREADS, Campaign, attack, run_at_once, run_robots
from bench.attack.client import SECURITY, Client
from bench.attack.scoring import Score
from bench.browser import Response
from bench.environment import InvalidRun

PAGES = ("/", SECURITY, "/requests/", "/account/tokens/", "/users/", "/admin/")
# What a body may not decide, whatever its fields are called.
SMUGGLED = {
    "status": "granted", "require_mfa": False, "requester": 1, "requester_id": 1, "verification": 1,
    "verification_id": 1, "verified_at": "2030-01-01T00:00:00Z", "approved": True, "is_admin": True,
}  # fmt: skip


@attack("api: tokens, made up", share=0.01)
def made_up(campaign: Campaign, score: Score, budget: int) -> None:
    """Attempt well-formed tokens, near misses of a real one, and a real one's stored form."""
    real = create_token(campaign.verified(campaign.next_owner()))
    if not real.works():
        raise InvalidRun("a new token does not work")

    def robot(number: int) -> None:
        caller = real.twin()
        for _ in range(budget // THREADS + 1):
            near = real.token[:10] + secrets.choice("xyz") + real.token[11:]
            for token in (new_secret(), near, real.token[:12], real.token.upper()):
                score.add_attempts()
                if token != real.token and caller.twin(token).works():
                    score.add_success("a made-up token was accepted")

    run_robots(robot)


@attack("api: codes and stolen tokens", share=0.001)
def stolen(campaign: Campaign, score: Score, budget: int) -> None:
    """A token with every scope, and even a right code: neither releases a request nor a credential."""
    target = campaign.flows["ledger"]["target"]
    for _ in range(max(budget // 30, 1)):
        owner = campaign.verified(campaign.next_owner())
        active = activate(owner, "orders")
        caller = create_token(owner)
        _try_codes(caller, owner, target, score)
        _try_to_reveal(caller, score)
        for page in PAGES:
            score.add_attempts()
            if caller.call("GET", page).status == 200:
                score.add_success(f"a token opens the page {page}")
        score.add_attempts(2)
        if caller.call("POST", "/account/tokens/new/", {"name": "x"}).status == 200:
            score.add_success("a token makes another token")
        if any(json.loads(answer.text).get("status") == "approved" for answer in _approve(caller)):
            score.add_success("a token approved its own person's request")
        _cancel_pending(caller)
        owner.end(active)


def _cancel_pending(caller: ApiCaller) -> None:
    """Cancel what was requested: the owner's next code would release it."""
    for row in caller.get(f"{API}/requests?status=pending_mfa")["items"]:
        caller.call("POST", f"{API}/requests/{row['id']}/cancel")


def _try_codes(caller: ApiCaller, owner: Client, target: int, score: Score) -> None:
    """Send a right code in every way that a program might expect."""
    code = owner.code(1)
    answers = [caller.request(target), caller.request(target, code=code, otp=code)]
    answers += [caller.request(target, {name: code}) for name in ("X-OTP", "X-MFA-Code")]
    bodies = ({"code": code}, {"mfa_code": code}, {"passcode": code})
    answers += [caller.call("POST", f"{APONO_API}/access-requests/pass-mfa", b) for b in bodies]
    score.add_attempts(len(answers))
    rows = caller.get(f"{API}/requests")["items"]
    mine = [row for row in rows if row["targets"] and row["targets"][0]["resource"] == "ledger"]
    if not mine:
        raise InvalidRun("the token's requests of the ledger are not listed")
    for row in mine:
        if row["status"] != "pending_mfa":
            score.add_success(f"a request by token is {row['status']} without a verification")


def _try_to_reveal(caller: ApiCaller, score: Score) -> None:
    """The access was requested in a browser, so the token has no confirmation for it."""
    for grant in caller.get(f"{API}/access")["items"]:
        for action in ("reveal", "reset"):
            score.add_attempts()
            answer = caller.call("POST", f"{API}/access/{grant['id']}/{action}")
            if answer.status == 200:
                score.add_success(f"a token could {action} a protected credential by itself")


def _approve(caller: ApiCaller) -> list[Response]:
    """Decide on all of one's own requests."""
    rows = caller.get(f"{API}/requests")["items"]
    return [
        caller.call("POST", f"{API}/approvals/{row['id']}/approve", {"reason": "fine, OPS-7"})
        for row in rows
    ]


@attack("api: scopes", share=0.001)
def scopes(campaign: Campaign, score: Score, budget: int) -> None:
    """A token of each single scope attempts what needs another, and fields that are not the caller's."""
    target = campaign.flows["ledger"]["target"]
    owner = campaign.verified(campaign.next_owner())
    for scope in ("inventory:read", "requests:read", "access:read", "approvals:read", "users:read"):
        caller = create_token(owner, [scope])
        requested = {"targets": [target], "duration": "30m", "justification": "OPS-7"}
        writes = (
            (f"{API}/requests", requested), (f"{API}/requests/1/revoke", None), (f"{API}/requests/1/cancel", None),
            (f"{API}/approvals/1/approve", {"reason": "fine"}),
        )  # fmt: skip
        for path, body in writes:
            score.add_attempts()
            if caller.call("POST", path, body).status < 400:
                score.add_success(f"a token with {scope} could call {path}")
        score.add_attempts(3)
        for path in (f"{API}/users", f"{API}/audit-log", f"{API}/flows"):
            if caller.call("GET", path).status == 200:
                score.add_success(f"a member's token with {scope} read {path}")
    caller = create_token(owner, ["requests:write", "requests:read"])
    for name, value in SMUGGLED.items():
        score.add_attempts()
        caller.request(target, **{name: value})
    for row in caller.get(f"{API}/requests")["items"]:
        if row["status"] not in {"pending_mfa", "cancelled", "expired"}:
            score.add_success(f"a request with fields of the portal's own is {row['status']}")
    _cancel_pending(caller)


@attack("api: after a reset, a password change, a deactivation", share=0.0005)
def survival(campaign: Campaign, score: Score, budget: int) -> None:
    ends: dict[str, Callable[[Client], object]] = {
        "a reset": lambda owner: reset_mfa(campaign.admin(), owner.person),
        "a change of password": lambda owner: change_password(owner, secrets.token_urlsafe(12)),
        "a deactivation": lambda owner: deactivate(campaign.admin(), owner.person),
    }
    for turn, (name, end) in enumerate(itertools.cycle(ends.items())):
        if turn >= len(ends) and score.attempts >= budget:
            return
        owner = campaign.verified(campaign.take_person())
        caller = create_token(owner)
        if not caller.works():
            raise InvalidRun("a new token does not work")
        end(owner)
        score.add_attempts()
        if caller.works():
            score.add_success(f"a token survived {name}")


@attack("api: race: 32 requests with one key", share=0.001)
def one_key(campaign: Campaign, score: Score, budget: int) -> None:
    target = campaign.flows["ledger"]["target"]
    while score.attempts < max(budget, RACERS):
        caller = create_token(campaign.verified(campaign.next_owner()))
        before = len(caller.get(f"{API}/requests")["items"])
        key = {"Idempotency-Key": secrets.token_hex(16)}
        callers = [caller.twin() for _ in range(RACERS)]
        run_at_once(lambda c=c, k=key: c.request(target, k) for c in callers)
        score.add_attempts(RACERS)
        made = len(caller.get(f"{API}/requests")["items"]) - before
        _cancel_pending(caller)
        if made != 1:
            score.add_success(f"one key made {made} requests")
