"""Success as seen from outside: what stands on the target, and what the admins' pages say."""

import html
import re
import threading
import time
from typing import TYPE_CHECKING

from bench.attack.browser import Form
from bench.attack.tally import Score
from bench.attack.target import Login, TargetSystem
from bench.attack.visitor import Visitor

if TYPE_CHECKING:
    from bench.attack.campaign import Campaign

PATIENCE_S = 3
_WORDS_OF_TIME = re.compile(r"(<time [^>]*>)[^<]*")
_ROW = re.compile(r"<tr\b.*?</tr>", re.S)
_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="[^"]*"')
# What a person did last, and whether they are held off now, is no setting.
_PASSING = re.compile(r'<td data-label="Last .*?</td>|<span class="sub held">.*?</span>', re.S)
_COUNT = re.compile(r"\d+\s+(person|people)")
_NEXT_PAGE = re.compile(r'href="(\?[^"]*)" rel="next"')


class Judge:
    """Knows which logins are rightful, and how the settings were before the campaign."""

    def __init__(self, target: TargetSystem) -> None:
        self._target = target
        self._rightful: set[str] = set()
        self._told: set[str] = {login.name for login in target.logins()}
        self._settings: dict[str, str] = {}
        self._lock = threading.Lock()

    def rightful(self, login: str) -> None:
        with self._lock:
            self._rightful.add(login)

    def count(self, name: str) -> int:
        """How many logins hold a permission now."""
        return sum(login.permission == f"{name}_reader" for login in self._target.logins())

    def look(self, score: Score) -> None:
        """Charge an attack with every login on the target that nobody came by rightfully."""
        for login in self._strange():
            self._told.add(login.name)
            score.got(f"a login for {login.permission} came into being on the target")

    def _strange(self) -> list[Login]:
        give_up_at = time.monotonic() + PATIENCE_S
        while True:
            with self._lock:
                known = self._rightful | self._told
            found = [
                login
                for login in self._target.logins()
                if login.name not in known and (login.is_forbidden or login.can_login)
            ]
            if not found or all(login.is_forbidden for login in found):
                return found
            if time.monotonic() > give_up_at:
                return found
            time.sleep(0.2)

    def remember_settings(self, campaign: "Campaign") -> None:
        self._settings = settings_of(campaign)

    def compare_settings(self, campaign: "Campaign", score: Score) -> None:
        """Charge with every setting that is not as it was; people of the story are left out."""
        now = settings_of(campaign)
        for name in sorted(self._settings.keys() | now.keys()):
            if self._settings.get(name) != now.get(name) and not _is_of_story(name, campaign):
                score.got(f"{name} was changed")
        self._settings = now


def _is_of_story(name: str, campaign: "Campaign") -> bool:
    return any(email in name for email in campaign.spent)


def settings_of(campaign: "Campaign") -> dict[str, str]:
    """What an admin can see of flows, integrations and people, by name."""
    admin = campaign.admin()
    found: dict[str, str] = {}
    for name, flow in campaign.flows.items():
        page = admin.browser.get(f"/access-flows/{flow['id']}/edit/")
        found[f"flow {name}"] = _terms(page.form("name", "targets"))
    found["flows"] = _rows(admin.browser.get("/access-flows/").text)
    number = campaign.portal.people["integration"]
    page = admin.browser.get(f"/integrations/{number}/edit/")
    found["integration"] = _terms(page.form("host"))
    return found | _people(campaign, admin)


def _people(campaign: "Campaign", admin: Visitor) -> dict[str, str]:
    """Each person's row of the Users tab, over all pages."""
    found: dict[str, str] = {}
    query: str | None = ""
    while query is not None:
        text = admin.browser.get(f"/users/{query}").text
        following = _NEXT_PAGE.search(text)
        query = html.unescape(following[1]) if following else None
        for row in _ROW.findall(text):
            if email := re.search(r"[\w.]+@[\w.]+", row):
                found[f"person {email[0]}"] = " ".join(
                    _PASSING.sub("", _TOKEN.sub("", row)).split()
                )
    everybody = len(campaign.people)
    if len(found) != everybody:
        raise LookupError(f"The Users tab shows {len(found)} of {everybody} people")
    return found


def _terms(form: Form) -> str:
    fields = sorted(pair for pair in form.fields if pair[0] != "csrfmiddlewaretoken")
    return repr(fields)


def _rows(text: str) -> str:
    """The rows of the flows, without how many people there are to ask: some leave in a story.

    Of a moment its datetime stays; its words depend on the day they are read.
    """
    rows = (_COUNT.sub("", _TOKEN.sub("", row)) for row in _ROW.findall(text))
    rows = (_WORDS_OF_TIME.sub(r"\1", row) for row in rows)
    return "\n".join(" ".join(row.split()) for row in rows)
