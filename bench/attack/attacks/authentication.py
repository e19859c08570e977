"""Changing how somebody signs in, with the password alone; and an admin who has not set up MFA."""

import secrets

from bench.attack.actions import SET_UP, begin_set_up, method_addresses
from bench.attack.attacks.bypass import admin_pages
from bench.attack.campaign import Campaign, attack
from bench.attack.client import SECURITY, Client
from bench.attack.scoring import Score

NEW = secrets.token_urlsafe(16)


@attack("changing passwords and authenticators", share=0.002)
def change_authentication(campaign: Campaign, score: Score, budget: int) -> None:
    """A thief tries to lock an enrolled owner out, who then signs in and verifies as ever."""
    while score.attempts < max(budget, 8):
        owner = campaign.take_person()
        thief = campaign.signed_in(owner, "127.4.5.1")
        _change_everything(thief, score)
        score.add_attempts()
        if campaign.client(owner, "127.4.5.2").sign_in(NEW):
            score.add_success("a thief changed the password")
        if not campaign.client(owner, "127.0.0.4").sign_in():
            score.add_success("the owner's password no longer works")
            continue
        if not campaign.verified(owner, "127.0.0.4").window_is_open():
            score.add_success("the owner's authenticator no longer works")


def _change_everything(thief: Client, score: Score) -> None:
    passwords = {"old_password": thief.person.password, "new_password1": NEW, "new_password2": NEW}
    for url, data in (
        ("/account/password/", passwords),
        ("/account/password/", {**passwords, "code": thief.wrong_code()}),
        (SET_UP, {}),
        (f"{SET_UP}password/", {"password": thief.person.password}),
        (f"{SET_UP}confirm/", {"code": thief.wrong_code(), "name": "mine"}),
        *((f"{method}remove/", {}) for method in method_addresses(thief)),
        (f"{SECURITY}recovery-codes/", {}),
        (f"/users/{thief.person.id}/reset-mfa/", {"reason": "Lost phone.", "new_password": "on"}),
        (f"/users/{thief.person.id}/invite/", {}),
    ):
        score.add_attempts()
        thief.browser.post(url, data)
    if begin_set_up(thief):
        score.add_success("a thief was shown a new key")


@attack("an admin without MFA", share=0.001)
def admin_without_mfa(campaign: Campaign, score: Score, budget: int) -> None:
    """Her password is stolen. No page of admins may do anything; what was done shows in the settings."""
    pages = [*admin_pages(campaign), "/webhooks/new/", "/users/groups/new/"]
    while score.attempts < max(budget, len(pages)):
        admin = campaign.signed_in("nora", "127.4.6.1")
        for page in pages:
            score.add_attempts(2)
            data = {
                "reason": "Taken over.",
                "name": "Owned",
                "url": "https://evil.example/",
                "is_active": "",
            }
            admin.browser.get(page)
            response = admin.browser.post(page, data)
            if response.status == 200 and page.startswith("/admin/"):
                score.add_success(f"Django admin opened {page} to an admin without MFA")
            for form in admin.browser.get(page).forms():
                if page in form.action:
                    admin.browser.submit(form, reason="Taken over by a thief.")
