"""The shell of every page: who sees which navigation, and what it says about MFA."""

import re
from types import SimpleNamespace
from typing import Any

import pytest
from django.template import Context, Template
from django.test import RequestFactory


def shell(
    *,
    role: str = "member",
    mfa: dict[str, Any] | None = None,
    layout: str = "app",
    **context: Any,
) -> str:
    request = RequestFactory().get("/")
    request.user = SimpleNamespace(
        name="Mara Lindqvist",
        email="m@example.org",
        role=role,
        initials="ML",
        is_authenticated=True,
    )
    request.mfa = SimpleNamespace(**(mfa or {"enrolled": False, "is_open": False}))
    page = Template(
        f'{{% extends "layouts/{layout}.html" %}}{{% block title %}}Page{{% endblock %}}'
    )
    return page.render(Context({"request": request, **context}))


def navigation(page: str) -> list[str]:
    nav = page.partition('<nav class="nav"')[2].partition("</nav>")[0]
    return re.findall(r"</svg>([A-Z][A-Za-z ]+)<", nav)


MEMBER = ["My Access", "My Requests", "New Request", "Approvals"]
ADMIN = [
    "Access Flows",
    "Active Access",
    "Reviews",
    "Integrations",
    "Users",
    "Activity",
    "Insights",
    "Audit Log",
    "Deliveries",
    "Webhooks",
    "Status",
]


@pytest.mark.parametrize(
    ("role", "items"),
    [("member", MEMBER), ("auditor", MEMBER + ADMIN), ("admin", MEMBER + ADMIN)],
)
def test_navigation_follows_the_role(role: str, items: list[str]) -> None:
    assert navigation(shell(role=role)) == items


@pytest.mark.parametrize(
    ("layout", "area"), [("app", "Portal"), ("admin", "Admin"), ("account", "Account")]
)
def test_the_way_here_begins_with_the_group_of_the_page(layout: str, area: str) -> None:
    crumbs = shell(layout=layout).partition('aria-label="Breadcrumb">')[2].partition("</nav>")[0]
    assert re.sub(r"<[^>]+>", "", crumbs) == area


@pytest.mark.parametrize(
    ("state", "waiting", "words"),
    [
        ({"enrolled": False, "is_open": False}, 1, "MFA not set up"),
        ({"enrolled": True, "is_open": False}, 0, "MFA not verified"),
        ({"enrolled": True, "is_open": False}, 2, "Verify · 2 requests pending"),
        ({"enrolled": True, "is_open": True, "minutes_left": 42}, 0, "MFA verified · 42 min left"),
        ({"enrolled": True, "is_open": True, "minutes_left": 6}, 0, "MFA verified · 6 min left"),
    ],
)
def test_pill_tells_the_truth(state: dict[str, Any], waiting: int, words: str) -> None:
    page = shell(mfa=state, nav={"pending_mfa": waiting})
    pill = re.search(r'<a class="mfa-pill".*?</a>', page, re.DOTALL)
    assert pill is not None
    assert re.sub(r"<[^>]+>", "", pill[0]).strip() == words


def test_banner_names_the_pending_request() -> None:
    banner = SimpleNamespace(kind="set_up", pending="billing-prod")
    page = shell(mfa_banner=banner)
    assert "Set Up Multi-Factor Authentication (MFA)" in page
    assert re.search(r'<a class="btn btn-primary"[^>]*>Set Up MFA</a>', page)
    assert "billing-prod" in page


def test_without_a_banner_nothing_asks() -> None:
    assert "Set Up MFA" not in shell(mfa_banner=None)


def test_theme_and_sign_out_are_posts() -> None:
    page = shell()
    for words in ("Sign out", 'value="dark"'):
        form = page.rpartition(words)[0].rpartition("<form")[2]
        assert 'method="post"' in form


def test_chosen_theme_reaches_the_document() -> None:
    assert '<html lang="en" data-theme="dark">' in shell(theme="dark")
    assert '<html lang="en">' in shell(theme="")
