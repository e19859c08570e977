"""What admins and owners of accounts do, by the portal's pages, as part of an attack's story."""

import base64
import re

from bench.attack.browser import Answer, Form
from bench.attack.people import Person, totp
from bench.attack.visitor import Visitor, shown

SET_UP = "/account/security/authenticator/"
_KEY = re.compile(r"secret=([A-Z2-7]{32})")
_RECOVERY = re.compile(r"\b([a-z2-7]{5}(?:-[a-z2-7]{5}){3})\b")


def reset_mfa(admin: Visitor, person: Person, *, revoke_access: bool = False) -> Answer:
    """Reset a person's MFA on the Users tab."""
    form = admin.browser.get(f"/users/{person.id}/reset-mfa/").form("reason")
    more = {"revoke_access": "on"} if revoke_access else {}
    return admin.browser.submit(form, reason="Lost phone, seen in person.", **more)


def set_active(admin: Visitor, person: Person, *, active: bool) -> Answer:
    """Deactivate a person, or take them back."""
    verb = "reactivate" if active else "deactivate"
    page = admin.browser.get(f"/users/{person.id}/{verb}/")
    forms = [form for form in page.forms() if verb in form.action]
    values = {"reason": "Left the company."} if forms and "reason" in forms[0].names else {}
    return admin.browser.post(
        f"/users/{person.id}/{verb}/", forms[0].filled(**values) if forms else None
    )


def change_password(visitor: Visitor, new: str) -> Answer:
    """Change one's own password."""
    page = visitor.browser.get("/account/password/")
    form = page.form("new_password1", "new_password2")
    return visitor.browser.submit(
        form, old_password=visitor.person.password, new_password1=new, new_password2=new
    )


def begin_set_up(visitor: Visitor) -> str:
    """Begin MFA set-up; return the authenticator's secret as hex, empty if none was shown."""
    page = visitor.browser.follow(visitor.browser.post(SET_UP))
    return secret_on(page.text)


def secret_on(page: str) -> str:
    found = _KEY.search(page)
    return base64.b32decode(found[1]).hex() if found else ""


def recovery_codes_on(page: str) -> list[str]:
    return list(dict.fromkeys(_RECOVERY.findall(shown(page))))


def turn_on(owner: Visitor) -> tuple[Visitor, str, str, list[str]]:
    """Set up MFA as its owner does: the visitor, the secret, the first code, the recovery codes."""
    secret = begin_set_up(owner)
    code = totp(bytes.fromhex(secret), owner.portal.now())
    confirm = owner.browser.post(f"{SET_UP}confirm/", {"code": code, "name": ""})
    page = owner.browser.follow(confirm)
    if page.status != 200:
        raise LookupError(f"MFA could not be turned on: {page.status}")
    return owner, secret, code, recovery_codes_on(page.text)


def decision_form(approver: Visitor, number: str) -> Form:
    """The form on which an approver decides on a request."""
    return approver.browser.get(f"/approvals/AR-{number}/").form("fingerprint")


def decide(approver: Visitor, form: Form, verdict: str) -> Answer:
    number = re.search(r"AR-\d+", form.action)
    url = f"/approvals/{number[0] if number else 'AR-0'}/{verdict}/"
    return approver.browser.post(url, form.filled(reason="Agreed with the team, OPS-7."))
