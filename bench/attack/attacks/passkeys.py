"""Passkeys: answers relayed, replayed and made for something else; codes where a passkey is demanded."""

import json
import secrets
from dataclasses import dataclass

from bench.attack.actions import (
    add_passkey,
    approve,
    decision_form,
    recovery_codes_on,
    vouch_for_passkey,
)
from bench.attack.attacks.races import wait_until_active
from bench.attack.campaign import Campaign, attack, run_at_once
from bench.attack.client import ADD_PASSKEY, SECURITY, STEP_UP, Client
from bench.attack.people import Person
from bench.attack.scoring import Score
from bench.environment import InvalidRun
from bench.software_passkey import SoftPasskey

WAYS = 8
PEOPLE_CHANGED = 2
THIEFS = "Key of the thief"
CHALLENGE_LIFETIME_S = 300
OTHER_ORIGINS = (
    "https://localhost", "http://localhost:81", "http://localhost.evil.example", "https://evil.example",
    "http://evil.localhost", "http://127.0.0.1", "http://localhost/", "http://LOCALHOST", "null", "",
)  # fmt: skip
MADE_OTHERWISE: tuple[dict[str, object], ...] = (
    {"cross_origin": True}, {"user_verified": False}, {"rp_id": "evil.example"}, {"rp_id": "127.0.0.1"},
)  # fmt: skip


@dataclass(frozen=True)
class Holder:
    """A person with an authenticator app and a passkey."""

    person: Person
    passkey: SoftPasskey

    def use(self, client: Client) -> bool:
        """Verify with the passkey in a session and return whether the window is open."""
        client.submit_passkey(self.passkey.sign(client.passkey_options()))
        return client.window_is_open()

    def verify(self, client: Client) -> None:
        """Use the passkey where it must be accepted."""
        if not self.use(client):
            raise InvalidRun(f"{self.person.email} could not verify with a passkey")

    def use_in_new_session(self, campaign: Campaign) -> Client:
        client = campaign.signed_in(self.person)
        self.verify(client)
        return client


def new_holder(campaign: Campaign, person: Person | None = None, *, synced: bool = False) -> Holder:
    """Return a person whose passkey counts: an admin vouches for it."""
    person = person or campaign.take_person()
    campaign.changed.add(person.email)
    passkey = SoftPasskey(synced=synced)
    add_passkey(campaign.verified(person), passkey)
    vouch_for_passkey(campaign.admin(), person)
    return Holder(person, passkey)


@attack("passkey: answers relayed from another origin", share=0.0005)
def relay(campaign: Campaign, score: Score, budget: int) -> None:
    """A page elsewhere passes the portal's challenge on, and the owner's passkey signs it there."""
    holder = new_holder(campaign)
    changes = [{"origin": origin} for origin in OTHER_ORIGINS] + list(MADE_OTHERWISE)
    while score.attempts < max(budget, len(changes)):
        thief = campaign.signed_in(holder.person, "127.4.5.1")
        for change in changes:
            score.add_attempts()
            thief.submit_passkey(holder.passkey.sign(thief.passkey_options(), **change))
            if thief.window_is_open():
                score.add_success(f"a passkey's answer made with {change} opened the window")
                return
    holder.use_in_new_session(campaign)


@attack("passkey: one answer, eight ways at once", share=0.0005)
def replay(campaign: Campaign, score: Score, budget: int) -> None:
    """Synced passkeys have no count, so the challenge alone must refuse the second use."""
    holder = new_holder(campaign, synced=True)
    while score.attempts < max(budget, WAYS):
        owner = campaign.signed_in(holder.person)
        answer = holder.passkey.sign(owner.passkey_options())
        twins, late = [owner.twin() for _ in range(WAYS)], owner.twin()
        pages = run_at_once(lambda t=t, a=answer: t.submit_passkey(a) for t in twins)
        score.add_attempts(WAYS)
        opened = sum(twin.window_is_open() for twin in twins)
        if not opened:
            raise InvalidRun(f"No answer was accepted: {[page.status for page in pages]}")
        late.submit_passkey(answer)
        if opened > 1 or late.window_is_open():
            score.add_success("one answer of a passkey opened the window twice")
        winner = next(twin for twin in twins if twin.window_is_open())
        winner.browser.post(f"{SECURITY}close-window/")
        winner.submit_passkey(answer)
        if winner.window_is_open():
            score.add_success("an answer of a passkey opened the window again")


@attack("passkey: challenges of something else", share=0.0005)
def challenges(campaign: Campaign, score: Score, budget: int) -> None:
    """Another session's, another person's, another purpose's, and one that nobody issued."""
    victim, thief = new_holder(campaign), new_holder(campaign)
    while score.attempts < max(budget, 6):
        stolen = campaign.signed_in(victim.person, "127.4.5.2")
        mine = campaign.signed_in(thief.person, "127.4.5.2")
        owner = victim.use_in_new_session(campaign)
        registration = owner.registration_options()
        owner.browser.post(f"{SECURITY}close-window/")
        options = owner.passkey_options()
        made_up = options.replace(_challenge_of(options), secrets.token_urlsafe(32))
        copy = SoftPasskey(credential_id=victim.passkey.credential_id, count=10_000)
        cases = (
            ("of another session", stolen, victim.passkey, options),
            ("of another person", stolen, victim.passkey, mine.passkey_options()),
            ("for adding a passkey", owner, victim.passkey, _as_request(registration)),
            ("that nobody issued", stolen, victim.passkey, made_up),
            ("with another person's passkey", stolen, thief.passkey, stolen.passkey_options()),
            ("with another key", stolen, copy, stolen.passkey_options()),
        )
        for name, client, passkey, challenge in cases:
            score.add_attempts()
            client.submit_passkey(passkey.sign(challenge))
            if client.window_is_open():
                score.add_success(f"the window was opened by a challenge {name}")
                return


@attack("passkey: expired challenges", share=0.0001, runs_alone=True)
def expired(campaign: Campaign, score: Score, budget: int) -> None:
    """At its last second a challenge counts, at five minutes no more."""
    holder = new_holder(campaign)
    early, late = (campaign.signed_in(holder.person) for _ in range(2))
    first, second = early.passkey_options(), late.passkey_options()
    campaign.portal.move_clock(CHALLENGE_LIFETIME_S - 30)
    early.submit_passkey(holder.passkey.sign(first))
    if not early.window_is_open():
        raise InvalidRun("A challenge expired before its five minutes")
    campaign.portal.move_clock(31)
    score.add_attempts()
    late.submit_passkey(holder.passkey.sign(second))
    if late.window_is_open():
        score.add_success("an expired challenge opened the window")


@attack("passkey: adding one with a stolen session or password", share=0.0005)
def adding(campaign: Campaign, score: Score, budget: int) -> None:
    """Sessions without a window get no options, and other people's options add nothing."""
    holder = new_holder(campaign)
    while score.attempts < max(budget, 3):
        owner = holder.use_in_new_session(campaign)
        unused = owner.registration_options()
        owner.browser.post(f"{SECURITY}close-window/")
        copied = owner.twin("127.4.5.3")
        password = campaign.signed_in(holder.person, "127.4.5.3")
        own = campaign.verified(campaign.next_owner()).registration_options()
        for client, options in ((copied, unused), (password, ""), (password, own)):
            score.add_attempts()
            _try_to_add(client, options or client.registration_options() or own, score)


def _try_to_add(client: Client, options: str, score: Score) -> None:
    passkey = SoftPasskey()
    fields = {"credential": passkey.register(options), "name": THIEFS}
    page = client.browser.follow(client.browser.post(ADD_PASSKEY, fields))
    request = client.passkey_options()
    if request:
        client.submit_passkey(passkey.sign(request))
    if THIEFS in page.text or THIEFS in client.browser.get(SECURITY).text:
        score.add_success("a passkey was added without an open window")


@attack("passkey: a new one before it counts", share=0.0002)
def too_new(campaign: Campaign, score: Score, budget: int) -> None:
    """A thief with a relayed code adds a passkey of their own, and uses it where one is demanded."""
    for _ in range(PEOPLE_CHANGED):
        person = campaign.take_person()
        thief = campaign.verified(person, "127.4.5.4")
        holder = Holder(person, SoftPasskey())
        add_passkey(thief, holder.passkey, THIEFS)
        score.add_attempts(2)
        thief.request_access("treasury")
        holder.verify(thief)
        _expect(thief, score, "Pending MFA", "a new passkey released a request")
        thief.request_access("treasury")
        _expect(thief, score, "Pending MFA", "a new passkey covered a request")


@attack("passkey: a synced one where a device-bound one is demanded", share=0.0002)
def synced(campaign: Campaign, score: Score, budget: int) -> None:
    """It releases nothing and covers nothing; and it cannot say later that it is device-bound."""
    holder = new_holder(campaign, synced=True)
    client = campaign.signed_in(holder.person)
    client.request_access("escrow")
    holder.verify(client)
    score.add_attempts()
    _expect(client, score, "Pending MFA", "a synced passkey released a request")
    client.request_access("escrow")
    score.add_attempts()
    _expect(client, score, "Pending MFA", "a synced passkey covered a request")
    holder.passkey.synced = False
    liar = campaign.signed_in(holder.person)
    score.add_attempts()
    if holder.use(liar):
        score.add_success("a passkey added as synced was taken for a device-bound one")


@attack("passkey: downgrade to a code, on submission and release", share=0.0005)
def downgrade_of_requests(campaign: Campaign, score: Score, budget: int) -> None:
    """Windows opened by a code or a recovery code, and a code for what waits already."""
    holder = new_holder(campaign)
    while score.attempts < max(budget, 4):
        client = campaign.verified(holder.person, "127.4.5.5")
        codes = recovery_codes_on(client.browser.post(f"{SECURITY}recovery-codes/"))
        for more in ({}, {"mfa_strength": "any", "method": "passkey"}):
            score.add_attempts()
            client.request_access("treasury", **more)
            _expect(client, score, "Pending MFA", "a code covered a request that needs a passkey")
        waiting = client.newest_request()
        late = campaign.verified(holder.person, "127.4.5.5")
        late.browser.post(f"{STEP_UP}?with=recovery", {"code": codes[0]})
        score.add_attempts(2)
        _expect(late, score, "Pending MFA", "a code released a request that needs a passkey")
        late.request_access("treasury")
        _expect(late, score, "Pending MFA", "a recovery code covered a request")
        for number in (waiting, late.newest_request()):
            late.cancel(number)


@attack("passkey: downgrade to a code, on approval and reveal", share=0.0001)
def downgrade_of_decisions(campaign: Campaign, score: Score, budget: int) -> None:
    """Access that both passkeys permitted; the code permits neither its approval nor its credential."""
    holder = new_holder(campaign)
    approver = new_holder(campaign, campaign.people["pia"])
    owner = holder.use_in_new_session(campaign)
    owner.request_access("signing")
    number = owner.newest_request()
    weak = campaign.verified("paul", "127.0.0.3")
    score.add_attempts()
    approve(weak, decision_form(weak, number), number)
    _expect(owner, score, "Pending Approval", "a code approved what needs a passkey")
    strong = approver.use_in_new_session(campaign)
    approve(strong, decision_form(strong, number), number)
    wait_until_active(owner, number)
    thief = campaign.verified(holder.person, "127.4.5.6")
    score.add_attempts()
    if thief.reveal(number):
        score.add_success("a credential that needs a passkey was revealed to a code")
    campaign.judge.add_rightful(owner.reveal(number).get("user", ""))
    score.add_attempts()
    if thief.replace_credential(number):
        score.add_success("a credential that needs a passkey was replaced by a code")
    owner.end(number)


def _expect(client: Client, score: Score, status: str, otherwise: str) -> None:
    """Count a success if the newest request has gone on."""
    if client.status_of(client.newest_request()) not in {status, "Cancelled"}:
        score.add_success(otherwise)


def _challenge_of(options: str) -> str:
    return str(json.loads(options)["challenge"])


def _as_request(options: str) -> str:
    """Return options for a new passkey as a browser would read them for the use of one."""
    creation = json.loads(options)
    return json.dumps({"challenge": creation["challenge"], "rpId": creation["rp"]["id"]})
