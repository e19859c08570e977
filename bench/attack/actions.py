"""What admins, approvers and owners of accounts do through the portal's pages in an attack's story."""

import re
from dataclasses import replace

from bench.attack.client import ADD_PASSKEY, SECURITY, Client, text_of
from bench.attack.people import Person
from bench.browser import Form, Response
from bench.software_passkey import SoftPasskey

SET_UP = f"{SECURITY}authenticator/"
_SECRET = re.compile(r"secret=([A-Z2-7]{32})")
_METHOD = re.compile(rf"{SECURITY}methods/\w+/\d+/")
_RECOVERY_CODE = re.compile(r"\b([a-z2-7]{5}(?:-[a-z2-7]{5}){3})\b")


def reset_mfa(admin: Client, person: Person, *, revoke_access: bool = False) -> Response:
    """Reset a person's MFA on the Users tab."""
    form = admin.browser.get(f"/users/{person.id}/reset-mfa/").form("reason")
    more = {"revoke_access": "on"} if revoke_access else {}
    return admin.browser.submit(form, reason="Lost phone, seen in person.", **more)


def deactivate(admin: Client, person: Person) -> Response:
    form = admin.browser.get(f"/users/{person.id}/deactivate/").form(action="deactivate")
    values = {"reason": "Left the company."} if "reason" in form.names else {}
    return admin.browser.submit(form, **values)


def change_password(client: Client, new: str) -> Response:
    """Change one's own password."""
    form = client.browser.get("/account/password/").form("new_password1", "new_password2")
    return client.browser.submit(
        form, old_password=client.person.password, new_password1=new, new_password2=new
    )


def begin_set_up(client: Client) -> str:
    """Begin MFA set-up and return the authenticator's secret, "" if none is shown."""
    page = client.browser.follow(client.browser.post(SET_UP))
    secret = _SECRET.search(page.text)
    return secret[1] if secret else ""


def recovery_codes_on(page: Response) -> list[str]:
    return list(dict.fromkeys(_RECOVERY_CODE.findall(text_of(page.soup))))


def enrol(owner: Client) -> tuple[Person, str, list[str]]:
    """Set up MFA as its owner does: the person with a secret, the first code, the recovery codes."""
    person = replace(owner.person, secret=begin_set_up(owner))
    code = person.code(owner.portal.now())
    confirmation = owner.browser.post(f"{SET_UP}confirm/", {"code": code, "name": ""})
    page = owner.browser.follow(confirmation)
    if page.status != 200:
        raise LookupError(f"MFA could not be turned on: {page.status}")
    return person, code, recovery_codes_on(page)


def method_addresses(owner: Client) -> list[str]:
    """Return where one's own authenticators and passkeys are renamed and removed."""
    addresses = sorted(set(_METHOD.findall(owner.browser.get(SECURITY).text)))
    if not addresses:
        raise LookupError(f"{owner.person.email} has no authenticator on the page")
    return addresses


def decision_form(approver: Client, number: str) -> Form:
    """Return the form on which an approver decides on a request."""
    return approver.browser.get(f"/approvals/AR-{number}/").form("fingerprint")


def approve(approver: Client, form: Form, number: str) -> Response:
    fields = form.filled(reason="Agreed with the team, OPS-7.")
    return approver.browser.post(f"/approvals/AR-{number}/approve/", fields)


def add_passkey(owner: Client, passkey: SoftPasskey, name: str = "Security key") -> Response:
    """Add a passkey through an open window. Raise LookupError if there are no options for it."""
    if not (options := owner.registration_options()):
        raise LookupError("The portal gave no options for a new passkey")
    answer = passkey.register(options)
    return owner.browser.post(ADD_PASSKEY, {"credential": answer, "name": name})


def vouch_for_passkey(admin: Client, person: Person) -> Response:
    """Let a person's newest passkey count at once for flows that demand one."""
    form = admin.browser.get(f"/users/{person.id}/").form(action="vouch/")
    return admin.browser.submit(form)
