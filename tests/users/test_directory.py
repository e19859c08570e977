"""The user directory: word search, pages by key, filters, lockouts."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from apono_portal.core.web.client import SYSTEM
from apono_portal.users import directory, services
from apono_portal.users.models import Role, User
from apono_portal.users.search import split_words
from apono_portal.users.selectors import locked_out_users
from audit.events import EventName
from audit.services import record
from tests.factories import (
    AccessFlowFactory,
    AuthenticatorFactory,
    GroupFactory,
    UserFactory,
    VerificationFactory,
    fresh_window,
)

pytestmark = pytest.mark.django_db


def search(text: str) -> list[str]:
    return sorted(User.objects.matching(text).values_list("name", flat=True))


@pytest.fixture
def users():
    UserFactory(name="Petra Nováková", email="pn@example.org")
    UserFactory(name="Ödön Smith-Jones", email="odon.p@mail.example")
    UserFactory(name="O'Brien", email="petra.other+x@example.org")


@pytest.mark.parametrize("lookup", ["word_search", "word_scan"])
@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("petra", ["O'Brien", "Petra Nováková"]),
        ("PET nov", ["Petra Nováková"]),
        ("nova", ["Petra Nováková"]),
        ("Nováková", ["Petra Nováková"]),
        ("odon", ["Ödön Smith-Jones"]),
        ("jones", ["Ödön Smith-Jones"]),
        ("o'bri", ["O'Brien"]),
        ("petra.other+x@example.org", ["O'Brien"]),
        ("etra", []),
        ("petra smith", []),
        ("%", []),
        ("'", []),
        ("\\ : * & | ! ( )", []),
        ("", ["O'Brien", "Petra Nováková", "Ödön Smith-Jones"]),
    ],
)
def test_search_matches_beginnings_of_words(users, text, names, lookup):
    matches = User.objects.matching(text, lookup=lookup)
    assert sorted(matches.values_list("name", flat=True)) == names


def test_renamed_user_matches_the_new_name_only():
    services.change_user(
        actor=(admin := UserFactory(admin=True)),
        window=fresh_window(admin),
        user=(user := UserFactory(name="Petra Novak")),
        name="Zoe Winter",
        role=Role.MEMBER,
        groups=[],
        seen=services.user_digest(user),
        client_info=SYSTEM,
    )
    assert (search("winter"), search("novak")) == (["Zoe Winter"], [])


def test_users_created_in_bulk_are_searchable():
    User.objects.bulk_create([User(name="Petra Novak", email="p@example.org")])
    assert search("novak") == ["Petra Novak"]


def test_words_are_letters_and_digits_only():
    assert split_words("Straße 12\0ﬁn_x") == ["strasse", "12", "fin", "x"]


def test_longest_names_and_emails_fit():
    UserFactory(name="\U00020000" * 64, email="x" * 64 + "@" + "y.é" * 60 + ".example")
    assert len(search("x" * 64)) == 1


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite scans")
@pytest.mark.parametrize(
    ("queryset", "index"),
    [
        (User.objects.matching("petra nov"), "user_words"),
        (User.objects.order_by("search_words", "pk"), "user_in_order"),
        (User.objects.filter(role="auditor").order_by("search_words", "pk"), "user_by_role"),
    ],
)
def test_index_is_used(queryset, index):
    User.objects.bulk_create(
        User(name=f"Person {number}", email=f"p{number}@example.org") for number in range(500)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE users_user; SET LOCAL enable_seqscan = off")
    assert index in queryset[:50].explain()


def names_on(page: str) -> list[str]:
    return re.findall(r'<th scope="row">.*?<span>(?:<a[^>]*>)?([^<]+)<', page)


def html_of(client, query: str = "") -> str:
    return client.get(f"/users/{query}").content.decode()


def link_to(page: str, rel: str) -> str:
    link = re.search(rf'href="(\?[^"]+)" rel="{rel}"', page)
    return link[1].replace("&amp;", "&") if link else ""


def test_pages_follow_each_other_without_gap(admin_client, monkeypatch):
    monkeypatch.setattr(directory, "PAGE_SIZE", 2)
    for name, email in (("zoe", "z"), ("Bea", "b.x"), ("Élodie", "e"), ("Bea", "b-x")):
        UserFactory(name=name, email=f"{email}@example.org")  # two have the same words
    pages = [html_of(admin_client)]
    while query := link_to(pages[-1], "next"):
        pages.append(html_of(admin_client, query))
    names = [names_on(page) for page in pages]
    assert names == [["Ada Admin", "Bea"], ["Bea", "Élodie"], ["zoe"]]
    assert names_on(html_of(admin_client, link_to(pages[-1], "prev"))) == names[1]


def test_links_to_other_pages_keep_the_filters(admin_client, monkeypatch):
    monkeypatch.setattr(directory, "PAGE_SIZE", 1)
    UserFactory.create_batch(2, name="Petra")
    query = link_to(html_of(admin_client, "?q=petra&mfa=not_set_up"), "next")
    assert query.startswith("?q=petra&mfa=not_set_up&after=")


@pytest.mark.parametrize("query", ["after=999999", "before=0", "after=x", "before=" + "9" * 40])
def test_unknown_position_leads_to_the_first_page(admin_client, query):
    assert names_on(html_of(admin_client, f"?{query}")) == ["Ada Admin"]


def test_position_with_nobody_after_it_leads_to_the_first_page(admin_client, admin_user):
    assert names_on(html_of(admin_client, f"?after={admin_user.pk}")) == ["Ada Admin"]


def test_first_page_shows_how_many_users_there_are(admin_client, monkeypatch):
    UserFactory.create_batch(3)
    assert "4 users" in html_of(admin_client)
    assert "1 user<" in html_of(admin_client, "?q=ada")
    monkeypatch.setattr(directory, "PAGE_SIZE", 2)
    assert "4 users" in html_of(admin_client)
    monkeypatch.setattr(directory, "EXACT_COUNT_LIMIT", 3)
    assert "More than 3 users" in html_of(admin_client)


def test_later_page_shows_its_first_and_last_user(admin_client, admin_user):
    UserFactory(name="Bea")
    UserFactory(name="Zoe")
    assert "Bea to Zoe" in html_of(admin_client, f"?after={admin_user.pk}")


@pytest.mark.parametrize("scan_limit", [0, 2, 5000])
def test_search_results_are_in_order_however_many_match(monkeypatch, scan_limit):
    monkeypatch.setattr(directory, "PAGE_SIZE", 2)
    monkeypatch.setattr(directory, "SCAN_LIMIT", scan_limit)
    for name in ("Zoe Fox", "Ada Fox", "Kim Lee", "Bea Fox"):
        UserFactory(name=name)
    foxes = directory.DirectoryFilter(text="fox")
    first = directory.directory_page(foxes)
    second = directory.directory_page(foxes, after=first.after)
    names = [user.name for user in first.users + second.users]
    assert names == ["Ada Fox", "Bea Fox", "Zoe Fox"]
    back = directory.directory_page(foxes, before=second.before)
    assert [user.name for user in back.users] == names[:2]


@pytest.mark.parametrize("page_size", [1, 25])  # answered by the scan, and by the sorted query
def test_filter_lists_users_who_lack_required_mfa(monkeypatch, page_size):
    monkeypatch.setattr(directory, "PAGE_SIZE", page_size)
    lacking, other, enrolled = UserFactory(name="Bea"), UserFactory(name="Kim"), UserFactory()
    AuthenticatorFactory(user=enrolled)
    UserFactory(name="Ada")
    group = GroupFactory(members=[other])
    AccessFlowFactory(
        require_mfa=True, requester_users=[lacking, enrolled], requester_groups=[group]
    )
    page = directory.directory_page(directory.DirectoryFilter(mfa="required"))
    assert page.users == [lacking, other][:page_size]


def test_query_count_depends_neither_on_rows_nor_on_depth(admin_client, questions_of, monkeypatch):
    monkeypatch.setattr(directory, "PAGE_SIZE", 5)
    UserFactory.create_batch(6)
    few = questions_of(admin_client, "/users/?q=person")
    UserFactory.create_batch(20)
    assert questions_of(admin_client, "/users/?q=person") == few <= 15
    last = User.objects.order_by("search_words").values_list("pk", flat=True)[12]
    assert questions_of(admin_client, f"/users/?q=person&after={last}") <= 15


def user_with_failures(count: int, *, ago: timedelta, scope: str = "unknown"):
    user = UserFactory()
    for _ in range(count):
        VerificationFactory(user=user, outcome="bad", scope=scope, at=timezone.now() - ago)
    return user


@pytest.mark.parametrize(
    ("count", "ago", "is_locked_out"),
    [
        (5, timedelta(minutes=14), True),
        (4, timedelta(minutes=14), False),
        (5, timedelta(minutes=16), False),
        (20, timedelta(hours=23), True),
        (19, timedelta(hours=23), False),
        (100, timedelta(days=29), True),
        (100, timedelta(days=31), False),
    ],
)
def test_failed_codes_lock_out(count, ago, is_locked_out):
    user = user_with_failures(count, ago=ago)
    assert (user.pk in locked_out_users(timezone.now())) is is_locked_out
    assert (user.pk in locked_out_users(timezone.now(), [user.pk])) is is_locked_out


def test_scopes_count_separately():
    user = user_with_failures(3, ago=timedelta(minutes=1))
    for _ in range(3):
        VerificationFactory(user=user, outcome="bad", scope="trusted:1")
    assert locked_out_users(timezone.now()) == set()


def test_lifted_30_day_limit_locks_nobody_out():
    user = user_with_failures(100, ago=timedelta(days=2))
    user.mfa_state.lockout_lifted_at = timezone.now()
    user.mfa_state.save()
    assert locked_out_users(timezone.now()) == set()


def test_sign_in_lockout_is_shown_and_filtered(admin_client):
    locked, other = UserFactory(name="Petra Novak"), UserFactory(name="Zoe Winter")
    record(event=EventName.SESSION_LOCK_OUT, actor=None, target=locked)
    record(event=EventName.SESSION_LOCK_OUT, actor=None)
    record(event=EventName.SESSION_SIGN_IN_FAIL, actor=None, target=other)
    page = html_of(admin_client, "?status=locked_out")
    assert names_on(page) == ["Petra Novak"]
    assert page.count("Locked out</span>") == 1
