"""Finding people: by beginnings of words, in the order of names, page by page, by who is held off."""

import re
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.utils import timezone

from apono_portal.core.web.client import SYSTEM
from apono_portal.users import directory, services
from apono_portal.users.models import Role, User
from apono_portal.users.search import folded_words
from apono_portal.users.selectors import held_off_now
from audit.events import EventName
from audit.services import record
from tests.factories import UserFactory, VerificationFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def prepared_anew():
    """Sizes are changed here, and are part of what is prepared."""
    yield
    connections["default"].__dict__.pop("_prepared_statements", None)


def found(text: str) -> list[str]:
    return sorted(User.objects.matching(text).values_list("name", flat=True))


@pytest.fixture
def people():
    UserFactory(name="Petra Nováková", email="pn@example.org")
    UserFactory(name="Ödön Smith-Jones", email="odon.p@mail.example")
    UserFactory(name="O'Brien", email="petra.other+x@example.org")


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
def test_people_are_found_by_beginnings_of_words(people, text, names):
    assert found(text) == names


def test_who_gets_another_name_is_found_by_it():
    person = UserFactory(name="Petra Novak")
    services.change_user(
        actor=UserFactory(admin=True),
        window=None,
        user=person,
        name="Zoe Winter",
        role=Role.MEMBER,
        groups=[],
        client_info=SYSTEM,
    )
    assert (found("winter"), found("novak")) == (["Zoe Winter"], [])


def test_people_made_many_at_once_are_found():
    User.objects.bulk_create([User(name="Petra Novak", email="p@example.org")])
    assert found("novak") == ["Petra Novak"]


def test_words_are_letters_and_digits_only():
    assert folded_words("Straße 12\0ﬁn_x") == ["strasse", "12", "fin", "x"]


def test_the_longest_names_and_addresses_are_kept():
    UserFactory(name="\U00020000" * 64, email="x" * 64 + "@" + "y.é" * 60 + ".example")
    assert len(found("x" * 64)) == 1


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite looks at each")
@pytest.mark.parametrize(
    ("people", "index"),
    [
        (User.objects.matching("petra nov"), "user_words"),
        (User.objects.order_by("search_words", "pk"), "user_in_order"),
        (User.objects.filter(role="auditor").order_by("search_words", "pk"), "user_by_role"),
    ],
)
def test_an_index_answers(people, index):
    User.objects.bulk_create(
        User(name=f"Person {number}", email=f"p{number}@example.org") for number in range(500)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE users_user; SET LOCAL enable_seqscan = off")
    assert index in people[:50].explain()


def names_on(page: str) -> list[str]:
    return re.findall(r'<th scope="row">.*?<span>(?:<a[^>]*>)?([^<]+)<', page)


def test_pages_are_read_by_key_and_meet_without_gap(admin_client, monkeypatch):
    monkeypatch.setattr(directory, "PAGE_SIZE", 2)
    for name, email in (("zoe", "z"), ("Bea", "b.x"), ("Élodie", "e"), ("Bea", "b-x")):
        UserFactory(name=name, email=f"{email}@example.org")  # two have the same words
    seen, address = [], "/users/"
    while address:
        page = admin_client.get(address).content.decode()
        seen.append(names_on(page))
        way = re.search(r'href="(\?[^"]+)" rel="next"', page)
        address = f"/users/{way[1]}" if way else ""
    assert seen == [["Ada Admin", "Bea"], ["Bea", "Élodie"], ["zoe"]]
    back = re.search(r'href="(\?[^"]+)" rel="prev"', page)[1]
    assert names_on(admin_client.get(f"/users/{back}").content.decode()) == seen[1]


def test_filters_stay_on_the_way_to_the_next_page(admin_client, monkeypatch):
    monkeypatch.setattr(directory, "PAGE_SIZE", 1)
    UserFactory.create_batch(2, name="Petra")
    page = admin_client.get("/users/?q=petra&mfa=not").content.decode()
    assert "?q=petra&amp;mfa=not&amp;after=" in page


@pytest.mark.parametrize("query", ["after=999999", "before=0", "after=x", "before=" + "9" * 40])
def test_a_place_that_is_none_leads_to_the_beginning(admin_client, query):
    assert names_on(admin_client.get(f"/users/?{query}").content.decode()) == ["Ada Admin"]


def test_the_page_says_how_many_without_counting_for_long(admin_client, monkeypatch):
    UserFactory.create_batch(3)
    assert "4 people" in admin_client.get("/users/").content.decode()
    assert "1 person<" in admin_client.get("/users/?q=ada").content.decode()
    monkeypatch.setattr(directory, "PAGE_SIZE", 2)
    assert "4 people" in admin_client.get("/users/").content.decode()
    monkeypatch.setattr(directory, "COUNTED", 3)
    assert "More than 3 people" in admin_client.get("/users/").content.decode()


def test_a_later_page_says_from_whom_to_whom(admin_client, admin_user):
    UserFactory(name="Bea")
    UserFactory(name="Zoe")
    assert "Bea to Zoe" in admin_client.get(f"/users/?after={admin_user.pk}").content.decode()


@pytest.mark.parametrize("window", [0, 2, 5000])
def test_what_is_searched_for_comes_in_order_however_many_match(monkeypatch, window):
    monkeypatch.setattr(directory, "PAGE_SIZE", 2)
    monkeypatch.setattr(directory, "WINDOW", window)
    for name in ("Zoe Fox", "Ada Fox", "Kim Lee", "Bea Fox"):
        UserFactory(name=name)
    foxes, seen = directory.Asked(directory.Choice(), words="fox"), []
    page = directory.page_of(foxes, before=None, after=None)
    seen += [person.name for person in page.people]
    page = directory.page_of(foxes, before=None, after=page.after)
    seen += [person.name for person in page.people]
    assert seen == ["Ada Fox", "Bea Fox", "Zoe Fox"]
    back = directory.page_of(foxes, before=page.before, after=None)
    assert [person.name for person in back.people] == seen[:2]


def test_a_deep_page_asks_no_more_questions_than_any_and_few(
    admin_client, questions_of, monkeypatch
):
    monkeypatch.setattr(directory, "PAGE_SIZE", 5)
    UserFactory.create_batch(4)
    few = questions_of(admin_client, "/users/?q=person")
    UserFactory.create_batch(20)
    assert questions_of(admin_client, "/users/?q=person") <= few
    last = User.objects.order_by("search_words").values_list("pk", flat=True)[12]
    assert questions_of(admin_client, f"/users/?q=person&after={last}") <= 12


def failures(count: int, *, ago: timedelta, scope: str = "unknown"):
    person = UserFactory()
    for _ in range(count):
        VerificationFactory(user=person, outcome="bad", scope=scope, at=timezone.now() - ago)
    return person


@pytest.mark.parametrize(
    ("count", "ago", "held"),
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
def test_whose_codes_are_held_off_is_known(count, ago, held):
    person = failures(count, ago=ago)
    assert (person.pk in held_off_now(timezone.now())) is held


def test_lanes_are_counted_apart():
    person = failures(3, ago=timedelta(minutes=1))
    for _ in range(3):
        VerificationFactory(user=person, outcome="bad", scope="trusted:1")
    assert held_off_now(timezone.now()) == set()


def test_a_lifted_30_day_limit_holds_nobody():
    person = failures(100, ago=timedelta(days=2))
    person.mfa_state.lockout_lifted_at = timezone.now()
    person.mfa_state.save()
    assert held_off_now(timezone.now()) == set()


def test_whose_sign_in_is_held_off_is_known_and_shown(admin_client):
    person, other = UserFactory(name="Petra Novak"), UserFactory(name="Zoe Winter")
    record(event=EventName.SESSION_LOCK_OUT, actor=None, target=person)
    record(event=EventName.SESSION_LOCK_OUT, actor=None)
    record(event=EventName.SESSION_SIGN_IN_FAIL, actor=None, target=other)
    page = admin_client.get("/users/?status=held_off").content.decode()
    assert names_on(page) == ["Petra Novak"]
    assert page.count("Held off now</span>") == 1
