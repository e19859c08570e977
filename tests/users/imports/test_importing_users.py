"""Users from a CSV file: what is read, what the preview says, and that exactly that is imported."""

import io
from datetime import timedelta

import pytest
import time_machine
from django.core import signing
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apono_portal.scim.models import Directory, ScimGroup, ScimUser
from apono_portal.users.exceptions import UserError
from apono_portal.users.imports import csv_file, services
from apono_portal.users.imports.csv_file import parse_users
from apono_portal.users.imports.preview import open_preview, plan_import
from apono_portal.users.imports.services import PreviewOutdated, import_users
from apono_portal.users.models import User
from audit.models import Delivery, Event
from mfa.exceptions import NotAllowed
from tests.factories import GroupFactory, IdentityProviderFactory, UserFactory
from tests.users.test_users import by

URL, APPLY = "/users/import/", "/users/import/apply/"
HEADER = "email,name,role,groups\n"


def upload(client, text: str | bytes):
    content = text.encode() if isinstance(text, str) else text
    file = io.BytesIO(content)
    file.name = "users.csv"
    return client.post(URL, {"file": file})


def apply(client, preview_page):
    return client.post(APPLY, {"preview": preview_page.context["preview"]})


def results(text: str) -> dict[str, tuple[str, str]]:
    plan = plan_import(parse_users((HEADER + text).encode()))
    return {row.email: (row.action.value, " · ".join(row.details)) for row in plan.rows}


# --- Reading ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"email,name\na@x.example,Ann Lee\n",
        b"\xef\xbb\xbfemail,name\r\na@x.example,Ann Lee\r\n",
        b"Email;Name\na@x.example;Ann Lee",
        b"name\temail\nAnn Lee\ta@x.example\n\n\t\n",
        b'"email","name"\n"a@x.example","Ann Lee"\n',
        b'name;email\n"Ann Lee";a@x.example;\n',
    ],
)
def test_common_kinds_of_csv_read_the_same(content):
    (row,) = parse_users(content)
    assert (row.email, row.name, row.problem) == ("a@x.example", "Ann Lee", "")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "empty"),
        (b" \n ", "empty"),
        (b"email,name\n", "no users"),
        (b"a@x.example,Ann\n", "first line must name the columns"),
        (b"email,name,password\na@x.example,Ann,secret\n", "Remove the password column"),
        (b"email,name,shoe size\na@x.example,Ann,39\n", "Unknown column: shoe size"),
        (b"email,email\na@x.example,b@x.example\n", "named twice"),
        ("email,name\na@x.example,Zoë\n".encode("latin-1"), "not UTF-8"),
        ("email,name\na@x.example,Ann\n".encode("utf-16"), "not UTF-8"),
        (b"email,name\na@x.example,An\0n\n", "not a CSV file"),
        (b"\x89PNG\r\n\x1a\n", "not UTF-8"),
        (b'email,name\na@x.example,"Ann\n', "cannot be read"),
        (b'email,name\na@x.example,"Ann" Lee\n', "cannot be read"),
        (b"email\n" + b"a@x.example\n" * 501, "more than 500"),
        (b"email\n" + b"x" * csv_file.MAX_BYTES, "larger than 256 kB"),
    ],
)
def test_an_unusable_file_is_refused_with_a_sentence(admin_client, content, sentence):
    answer = upload(admin_client, content)
    assert answer.status_code == 422
    assert sentence in answer.text
    assert "secret" not in answer.text
    assert User.objects.count() == 1


def test_without_a_file_it_asks_for_one(admin_client):
    assert "Choose a file." in admin_client.post(URL).text


# --- The preview --------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("nobody,Ann,,", "valid email"),
        (",Ann,,", "valid email"),
        ("a@x.example,,,", "needs a name"),
        ("a@x.example,An\u202en,,", "visible characters"),
        (f"a@x.example,{'x' * 65},,", "up to 64"),
        ("a@x.example,Ann,owner,", "Unknown role"),
        ("a@x.example,Ann,Admin,", "Add admins one by one"),
        ("a@x.example,Ann,,Nowhere", "There is no group"),
        ("a@x.example,Ann,,Managed", "Okta manages the group Managed"),
        ("a@x.example,Ann,,,,more", "more cells"),
        ("gone@x.example,,,", "deactivated"),
        ("boss@x.example,,member,", "This is an admin"),
        ("scim@x.example,Other,,", "Okta manages this name"),
    ],
)
def test_a_row_is_refused_with_a_reason(row, sentence):
    directory = Directory.objects.create(name="Okta")
    ScimGroup.objects.create(directory=directory, group=GroupFactory(name="Managed"))
    UserFactory(email="gone@x.example", is_active=False)
    UserFactory(email="boss@x.example", admin=True)
    managed = UserFactory(email="scim@x.example")
    ScimUser.objects.create(directory=directory, user=managed, user_name="scim")
    (result,) = results(row + "\n").values()
    assert result[0] == "refuse"
    assert sentence in result[1]


@pytest.mark.django_db
def test_it_says_what_is_added_changed_and_left(settings):
    GroupFactory(name="Billing"), GroupFactory(name="On call")
    UserFactory(email="known@x.example", name="Known", groups=[GroupFactory(name="Old")])
    UserFactory(email="same@x.example", name="Same")
    IdentityProviderFactory(name="Okta", domains=["sso.example"]).domains.update(is_enforced=True)
    assert results(
        "NEW@x.example,New,,Billing|On call\n"
        "sso@sso.example,Ann,auditor,\n"
        "known@x.example,Renamed,Auditor,Billing|Old\n"
        "same@x.example,,,\n"
        "new@x.example,Again,,\n"
    ) == {
        "sso@sso.example": ("create", "Auditor · Signs in with Okta, without a password"),
        "known@x.example": (
            "change",
            "Name: Known → Renamed · Role: Member → Auditor · Joins Billing",
        ),
        "same@x.example": ("keep", ""),
        # The key of both rows with this email: the second.
        "new@x.example": ("refuse", "Row 2 has the same email."),
    }


@pytest.mark.django_db
def test_statements_do_not_follow_the_rows():
    counts = []
    for number in (2, 40):
        for n in range(number):
            UserFactory(email=f"u{number}-{n}@x.example", groups=[GroupFactory()])
        rows = parse_users(
            (HEADER + "".join(f"u{number}-{n}@x.example,,,\n" for n in range(number))).encode()
        )
        with CaptureQueriesContext(connection) as queries:
            plan_import(rows)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 6


# --- Importing ----------------------------------------------------------------------------------


def test_what_was_previewed_is_imported_and_recorded(admin_client):
    group = GroupFactory(name="Billing")
    known = UserFactory(email="known@x.example", name="Known")
    preview = upload(
        admin_client,
        HEADER + "new@x.example,New,auditor,Billing\nknown@x.example,Renamed,,\nbad,Bad,,\n",
    )
    assert User.objects.filter(email="new@x.example").count() == 0
    assert not Event.objects.exists()
    page = apply(admin_client, preview).text
    new = User.objects.get(email="new@x.example")
    known.refresh_from_db()
    assert (new.name, new.role, list(new.groups.all())) == ("New", "auditor", [group])
    assert not new.has_usable_password()
    assert known.name == "Renamed"
    assert "/set-password/" in page
    counts = {"create": 1, "change": 1, "keep": 0, "refuse": 1}
    assert Event.objects.get(event="user:import").metadata["rows"] == counts
    names = set(Event.objects.values_list("event", flat=True))
    assert names == {"user:import", "user:create", "user:change", "user:invite"}


def test_links_go_by_email_where_it_is_configured(admin_client, settings):
    settings.EMAIL_CONFIGURED = True
    page = apply(admin_client, upload(admin_client, HEADER + "new@x.example,New,,\n")).text
    assert "/set-password/" not in page
    assert Delivery.objects.get().recipient == "new@x.example"


def test_users_of_an_enforced_domain_get_no_link(admin_client):
    IdentityProviderFactory(name="Okta", domains=["sso.example"]).domains.update(is_enforced=True)
    page = apply(admin_client, upload(admin_client, HEADER + "new@sso.example,New,,\n")).text
    assert User.objects.filter(email="new@sso.example").exists()
    assert "/set-password/" not in page
    assert not Event.objects.filter(event="user:invite").exists()


def test_twice_or_after_a_change_it_is_reviewed_again(admin_client):
    preview = upload(admin_client, HEADER + "new@x.example,New,,\nknown@x.example,Known,,\n")
    UserFactory(email="known@x.example", name="Somebody")
    stale = apply(admin_client, preview)
    assert stale.status_code == 409
    assert "Something changed since this preview" in stale.text
    assert not User.objects.filter(email="new@x.example").exists()
    assert apply(admin_client, stale).status_code == 200
    assert User.objects.get(email="known@x.example").name == "Known"
    assert apply(admin_client, stale).status_code == 409
    assert Event.objects.filter(event="user:import").count() == 1


@pytest.mark.django_db
def test_a_failure_half_way_leaves_nothing(admin_user, monkeypatch):
    rows = parse_users((HEADER + "a@x.example,Ann,,\nb@x.example,Bea,,\n").encode())
    create = services.create_user

    def fail_for_the_second(**arguments: str) -> User:
        if arguments["email"] == "b@x.example":
            raise UserError("A user with this email already exists.")
        return create(**arguments)

    monkeypatch.setattr(services, "create_user", fail_for_the_second)
    with pytest.raises(UserError):
        import_users(**by(admin_user), rows=rows, seen=plan_import(rows).digest)
    assert User.objects.get() == admin_user
    assert not Event.objects.exists()


def test_a_preview_is_bound_to_its_admin_its_hour_and_its_signature(admin_client, verified):
    preview = upload(admin_client, HEADER + "new@x.example,New,,\n").context["preview"]
    other = verified(UserFactory(admin=True))
    forged = signing.dumps({"rows": [], "plan": "", "admin": 1}, salt="another")
    for client, text in (
        (other, preview),
        (admin_client, preview[:-2]),
        (admin_client, forged),
        (admin_client, ""),
    ):
        answer = client.post(APPLY, {"preview": text}, follow=True)
        assert "This preview has expired" in answer.text
    admin = User.objects.get(email="ada@example.org")
    with time_machine.travel(timezone.now() + timedelta(minutes=61)), pytest.raises(UserError):
        open_preview(preview, admin=admin)
    assert not User.objects.filter(email="new@x.example").exists()


@pytest.mark.parametrize("who", ["member_client", "auditor_client"])
def test_others_find_no_such_page(request, who):
    client = request.getfixturevalue(who)
    assert upload(client, HEADER + "new@x.example,New,,\n").status_code == 404
    assert client.post(APPLY, {"preview": ""}).status_code == 404


@pytest.mark.django_db
def test_the_service_refuses_others_and_other_plans(admin_user):
    rows = parse_users((HEADER + "a@x.example,Ann,,\n").encode())
    seen = plan_import(rows).digest
    with pytest.raises(NotAllowed):
        import_users(**by(UserFactory()), rows=rows, seen=seen)
    with pytest.raises(PreviewOutdated):
        import_users(**by(admin_user), rows=rows, seen="other")
    assert not User.objects.filter(email="a@x.example").exists()
