"""Every URL refuses anonymous visitors, and users it is not for."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.urls.converters import IntConverter, UUIDConverter

from tests.architecture.url_table import URLS, Guard

NOWHERE = 987654321
ELSEWHERE = {"admin", "api_v1", "client_v1"}  # with tests of their own


def view_patterns(
    resolver: URLResolver, namespace: str = ""
) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield every view's name and arguments that fit its URL, without Django admin and the API."""
    for entry in resolver.url_patterns:
        if isinstance(entry, URLResolver):
            if entry.namespace not in ELSEWHERE:
                inner = ":".join(filter(None, (namespace, entry.namespace or "")))
                yield from view_patterns(entry, inner)
        elif isinstance(entry, URLPattern):
            assert entry.name, f"{entry.pattern} has no name"
            yield ":".join(filter(None, (namespace, entry.name))), _arguments(entry)


def _arguments(entry: URLPattern) -> dict[str, object]:
    values = {IntConverter: NOWHERE, UUIDConverter: UUID(int=NOWHERE)}
    return {
        name: values.get(type(converter), "x")
        for name, converter in entry.pattern.converters.items()
    }


VIEWS = dict(view_patterns(get_resolver()))


def guarded_by(*guards: Guard) -> list[object]:
    return [
        pytest.param(reverse(name, kwargs=arguments), id=name)
        for name, arguments in VIEWS.items()
        if URLS.get(name) in guards
    ]


def test_every_address_is_classified():
    assert sorted(set(VIEWS) - set(URLS)) == []


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("url", guarded_by(*(set(Guard) - {Guard.PUBLIC})))
def test_an_anonymous_visitor_is_sent_to_sign_in(client, url, method):
    response = getattr(client, method)(url)
    assert response.status_code == 302
    assert response.headers["Location"].startswith("/sign-in/")


@pytest.mark.parametrize("url", guarded_by(Guard.READER, Guard.ADMIN))
def test_a_member_gets_page_not_found(member_client, url):
    statuses = {member_client.get(url).status_code, member_client.post(url).status_code}
    assert statuses in ({404}, {404, 405})


@pytest.mark.parametrize("url", guarded_by(Guard.ADMIN))
def test_an_auditor_gets_page_not_found(auditor_client, url):
    statuses = {auditor_client.get(url).status_code, auditor_client.post(url).status_code}
    assert statuses in ({404}, {404, 405})


@pytest.mark.parametrize("url", guarded_by(Guard.OWN, Guard.APPROVER))
def test_an_object_that_does_not_exist_is_not_found(member_client, url):
    statuses = {member_client.get(url).status_code, member_client.post(url).status_code}
    assert statuses in ({404}, {404, 405})


@pytest.mark.django_db
@pytest.mark.parametrize(("method", "next_page"), [("get", "/admin/"), ("post", "/")])
def test_an_anonymous_visitor_cannot_enter_django_admin(client, method, next_page):
    """A form that was sent leads back to the page it was on, of which nothing is known here."""
    response = getattr(client, method)(reverse("admin:index"), follow=True)
    assert response.redirect_chain[-1][0] == f"/sign-in/?next={next_page}"


def test_django_admin_has_no_sign_in_for_members(member_client):
    assert member_client.get("/admin/login/").status_code == 404


@pytest.mark.parametrize("url", guarded_by(*(set(Guard) - {Guard.PUBLIC})))
def test_no_page_is_kept_by_a_browser(admin_client, url):
    response = admin_client.get(url)
    assert "no-store" in response.headers["Cache-Control"]


def test_an_auditor_may_verify_the_log_and_changes_nothing_else(auditor_client):
    """Pages of readers refuse forms; what is an admin's does not exist for an auditor."""
    for_readers = [name for name in VIEWS if URLS[name] is Guard.READER]
    accepted = {
        name
        for name in for_readers
        if auditor_client.post(reverse(name, kwargs=VIEWS[name])).status_code not in {404, 405}
    }
    assert accepted == {"audit:verify"}
