"""Somebody with an account at the identity provider, or with answers stolen from there.

The provider is npm's oidc-provider; nobody of the campaign may sign in with it but its one linked user.
"""

from collections.abc import Callable
from urllib.parse import urlencode

from bench.attack.campaign import Campaign, attack
from bench.attack.client import Client
from bench.attack.people import Person
from bench.attack.scoring import Score
from bench.environment import InvalidRun
from bench.software_passkey import ORIGIN
from tests.fixtures.sso import (  # fmt: skip
    Directory,
    NoNode,
    ensure_identity_provider,
    query_of,
    running_directory,
)

LINKED = "linked-subject"


@attack("sso: a stranger's answers", share=0.0002)
def strangers(campaign: Campaign, score: Score, budget: int) -> None:
    try:
        ensure_identity_provider()
    except NoNode as missing:
        raise InvalidRun(str(missing)) from None
    owner = campaign.take_person()
    with running_directory(ORIGIN) as directory:
        issuers = [directory.issuer("one"), directory.issuer("two")]
        add = "bench.attack.fill:add_identity_providers"
        campaign.portal.application.call(add, issuers=issuers, user=owner.id, subject=LINKED)
        if not _come_back(campaign, directory, owner, LINKED).is_signed_in():
            raise InvalidRun("the linked user could not sign in")
        _try_emails(campaign, directory, score)
        for story in (_csrf, _injected_code, _mix_up, _replay):
            for _ in range(max(budget // 20, 3)):
                score.add_attempts()
                if story(campaign, directory, owner).is_signed_in():
                    score.add_success(f"signed in by {story.__name__.strip('_').replace('_', ' ')}")
        _try_enforced_domain(campaign, owner, score)


def _browser(campaign: Campaign, person: Person) -> Client:
    return campaign.client(person, "127.6.0.1")


def _answer_for(
    client: Client, directory: Directory, subject: str, name: str = "one", **claims: object
) -> str:
    """Sign in at the provider, and return the portal's address that it sends the browser to."""
    directory.person(subject, **claims)
    return directory.visit(client.browser.get(f"/sso/{name}/").location)


def _come_back(
    campaign: Campaign, directory: Directory, person: Person, subject: str, **claims: object
) -> Client:
    client = _browser(campaign, person)
    client.browser.get(_answer_for(client, directory, subject, **claims))
    return client


def _try_emails(campaign: Campaign, directory: Directory, score: Score) -> None:
    """An account at the provider that shows somebody else's email, or one that looks like it."""
    for name in ("ada", "olga"):
        email = campaign.people[name].email
        local, domain = email.split("@")
        alike = (
            email, email.upper(), f"{local}@{domain.upper()}", f" {email}", f"{email}\u200b", f"{local}+x@{domain}",
            email.replace("a", "\u0430", 1), f'"{local}"@{domain}', f"{local}@sub.{domain}", f"{local}\uff20{domain}",
        )  # fmt: skip
        for text in alike:
            for is_verified in (True, False):
                score.add_attempts()
                claims = {"email": text, "email_verified": is_verified}
                client = _come_back(campaign, directory, campaign.people[name], "thief", **claims)
                if client.is_signed_in():
                    score.add_success(f"an account with the email {text!r} was let in")


def _csrf(campaign: Campaign, directory: Directory, owner: Person) -> Client:
    """An answer made in one browser is opened in another, which has an attempt of its own."""
    back = _answer_for(_browser(campaign, owner), directory, LINKED)
    victim = _browser(campaign, owner)
    victim.browser.get("/sso/one/")
    victim.browser.get(back)
    return victim


def _injected_code(campaign: Campaign, directory: Directory, owner: Person) -> Client:
    """A code stolen from the owner's answer, under the thief's own state."""
    stolen = query_of(_answer_for(_browser(campaign, owner), directory, LINKED))["code"]
    thief = _browser(campaign, owner)
    own = query_of(_answer_for(thief, directory, "thief"))
    thief.browser.get(f"/sso/one/callback/?{urlencode(own | {'code': stolen})}")
    return thief


def _mix_up(campaign: Campaign, directory: Directory, owner: Person) -> Client:
    """The answer of one provider at the other's address, and the same subject there."""
    client = _browser(campaign, owner)
    back = _answer_for(client, directory, LINKED)
    client.browser.get(back.replace("/one/", "/two/", 1))
    client.browser.get(_answer_for(client, directory, LINKED, name="two"))
    return client


def _replay(campaign: Campaign, directory: Directory, owner: Person) -> Client:
    """An answer that was used, again after the sign-out, with the cookies of then."""
    client = _browser(campaign, owner)
    back = _answer_for(client, directory, LINKED)
    before = client.twin()
    client.browser.get(back)
    client.sign_out()
    before.browser.get(back)
    return before


def _try_enforced_domain(campaign: Campaign, owner: Person, score: Score) -> None:
    """A right password where only single sign-on counts."""
    call: Callable[..., object] = campaign.portal.application.call
    domain = owner.email.partition("@")[2]
    call("bench.attack.fill:enforce_domain", domain=domain, is_enforced=True)
    try:
        for email in (owner.email, owner.email.upper(), f" {owner.email} "):
            client = _browser(campaign, owner)
            score.add_attempts()
            fields = {"username": email, "password": owner.password}
            if client.browser.post("/sign-in/", fields).status == 302 or client.is_signed_in():
                score.add_success("a password was accepted where single sign-on is enforced")
    finally:
        call("bench.attack.fill:enforce_domain", domain=domain, is_enforced=False)
