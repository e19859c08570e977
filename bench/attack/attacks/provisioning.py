"""A stolen SCIM token: whoever has it manages accounts, and must gain neither a role nor access."""

import json
import secrets

from bench.attack.api_client import API, SCIM, ApiCaller, create_token
from bench.attack.campaign import Campaign, attack
from bench.attack.client import Client
from bench.attack.people import Person
from bench.attack.scoring import Score
from bench.browser import Response
from bench.environment import InvalidRun

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
BOARD = (
    "Board",
    "board",
    "BOARD",
    " Board",
    "Board\u200b",
)  # the only ones who may request the vault
ROLES = ("roles", "role", "is_admin", "isAdmin", "userType", "entitlements", f"{USER}:roles")


@attack("scim: a stolen token", share=0.0005)
def stolen(campaign: Campaign, score: Score, budget: int) -> None:
    directory = _connect_directory(campaign.admin())
    thief = campaign.signed_in(campaign.take_person())
    try:
        own = _add_user(directory, thief.person)
        _try_roles(directory, own, score)
        _try_to_become_others(directory, campaign, own, score)
        _try_groups(directory, own, score)
        _try_elsewhere(directory, campaign, score)
        score.add_attempts(2)
        if thief.browser.get("/users/").status == 200:
            score.add_success("a directory gave the role of an admin")
        if thief.request_access("vault").status == 302:
            score.add_success("a directory put the thief into the board")
    finally:
        _disconnect(campaign.admin())
    score.add_attempts()
    if _call(directory, "GET", "/Users").status == 200:
        score.add_success("a token survived the end of its directory")


def _connect_directory(admin: Client) -> ApiCaller:
    """Connect a directory as an admin does, and return its client."""
    form = admin.browser.get("/users/provisioning/new/").form("name")
    added = admin.browser.submit(form, name="Okta")
    shown = admin.browser.submit(admin.browser.get(added.path).form("lifetime"))
    field = shown.soup.select_one("#token")
    if field is None:
        raise LookupError(f"no token was made: {shown.status}")
    return ApiCaller(admin.browser, str(field["value"]))


def _disconnect(admin: Client) -> None:
    page = admin.browser.get("/users/provisioning/")
    for link in page.soup.select('a[href$="/disconnect/"]'):
        admin.browser.post(str(link["href"]))


def _call(directory: ApiCaller, method: str, path: str, body: object = None) -> Response:
    headers = {"Content-Type": "application/scim+json"}
    return directory.call(method, f"{SCIM}{path}", body, **headers)


def _add_user(directory: ApiCaller, person: Person) -> str:
    """Take over the thief's own account, as a directory may, and return its id there."""
    body = {"schemas": [USER], "userName": person.email, "active": True}
    answer = _call(directory, "POST", "/Users", body)
    if answer.status != 201:
        raise InvalidRun(f"an account was not linked: {answer.status} {answer.text[:200]}")
    return str(json.loads(answer.text)["id"])


def _try_roles(directory: ApiCaller, own: str, score: Score) -> None:
    for name in ROLES:
        for value in ("admin", [{"value": "admin", "primary": True}], True):
            operation = {"op": "replace", "path": name, "value": value}
            score.add_attempts(2)
            _patch(directory, f"/Users/{own}", operation)
            _patch(directory, f"/Users/{own}", {"op": "replace", "value": {name: value}})


def _try_to_become_others(directory: ApiCaller, campaign: Campaign, own: str, score: Score) -> None:
    """Take an admin's or another's email for the thief's own account."""
    for name in ("ada", "olga"):
        email = campaign.people[name].email
        for value in (email, email.upper(), f" {email}"):
            for attribute in ("userName", 'emails[type eq "work"].value'):
                score.add_attempts()
                operation = {"op": "replace", "path": attribute, "value": value}
                if _patch(directory, f"/Users/{own}", operation).status < 300:
                    shown = json.loads(_call(directory, "GET", f"/Users/{own}").text)
                    if shown["userName"].strip().lower() == email:
                        score.add_success(f"the thief's account has the email {value!r}")


def _try_groups(directory: ApiCaller, own: str, score: Score) -> None:
    """Add, or rename a group to, one of the portal's own."""
    member = [{"value": own}]
    plain = {"schemas": [GROUP], "displayName": f"Helpers {secrets.token_hex(3)}"}
    added = json.loads(_call(directory, "POST", "/Groups", {**plain, "members": member}).text)
    for name in BOARD:
        score.add_attempts(2)
        body = {"schemas": [GROUP], "displayName": name, "members": member}
        answer = _call(directory, "POST", "/Groups", body)
        if answer.status == 201:
            _call(directory, "DELETE", f"/Groups/{json.loads(answer.text)['id']}")
            if name.strip().lower() == "board":
                score.add_success(f"a directory took over the group {name!r}")
        operation = {"op": "replace", "path": "displayName", "value": name}
        _patch(directory, f"/Groups/{added['id']}", operation)
    _call(directory, "DELETE", f"/Groups/{added['id']}")


def _try_elsewhere(directory: ApiCaller, campaign: Campaign, score: Score) -> None:
    """Each door takes its own tokens only, and SCIM takes no session."""
    admin = campaign.admin()
    token = create_token(admin)
    score.add_attempts(4)
    if directory.call("GET", f"{API}/requests").status == 200:
        score.add_success("a SCIM token works for the API")
    if _call(token, "GET", "/Users").status == 200:
        score.add_success("an admin's API token works for SCIM")
    if admin.browser.get(f"{SCIM}/Users").status == 200:
        score.add_success("an admin's session works for SCIM")
    near = directory.twin(directory.token[:-1] + ("a" if directory.token[-1] != "a" else "b"))
    if _call(near, "GET", "/Users").status == 200:
        score.add_success("a made-up token works for SCIM")


def _patch(directory: ApiCaller, path: str, operation: dict[str, object]) -> Response:
    return _call(directory, "PATCH", path, {"schemas": [PATCH], "Operations": [operation]})
