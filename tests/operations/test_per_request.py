"""What every request costs is paid once where it is always the same, and stays right."""

from datetime import UTC, date, datetime

import pytest
from csp.middleware import CSPMiddleware
from django.http import HttpResponse
from django.template import Context, Engine, Template, TemplateSyntaxError
from django.test import RequestFactory
from django.test.utils import override_settings
from django.urls import NoReverseMatch, clear_script_prefix, set_script_prefix
from django.utils import timezone
from django.utils.safestring import mark_safe

from accessflows.models import AccessFlow
from apono_portal.headers import ContentSecurityPolicyMiddleware
from apono_portal.static_files import StaticFiles
from apono_portal.users.models import Role, User
from audit.events import EventName
from audit.models import Event
from requests_app.models import AccessRequest, Status

POLICY = "Content-Security-Policy"


def answers(*responses, policy_class=ContentSecurityPolicyMiddleware):
    waiting = iter(responses)
    middleware = policy_class(lambda request: next(waiting))
    return [middleware(RequestFactory().get("/")).headers[POLICY] for _ in responses]


def test_the_policy_is_the_librarys_again_and_again():
    [library] = answers(HttpResponse(), policy_class=CSPMiddleware)
    assert answers(HttpResponse(), HttpResponse(), HttpResponse()) == [library] * 3
    assert "default-src 'none'" in library


def test_an_answer_with_a_policy_of_its_own_keeps_it_and_lends_it_to_nobody():
    own = HttpResponse()
    own._csp_replace = {"img-src": ["https://example.org"]}
    usual, special, after = answers(HttpResponse(), own, HttpResponse())
    assert "https://example.org" in special
    assert after == usual
    assert "https://example.org" not in usual


def test_an_address_of_a_static_file_is_made_once(tmp_path):
    with override_settings(DEBUG=False, STATIC_ROOT=str(tmp_path)):
        files = StaticFiles()
        files.hashed_files = {"css/page.css": "css/page.0123456789ab.css"}
        first = files.url("css/page.css")
        files.hashed_files = {}
        assert files.url("css/page.css") == first
    assert first.endswith("css/page.0123456789ab.css")


FORMATS = ("c", "H:i", "H:i:s", "j F Y, H:i:s e", "j M Y", "j M H:i:s", "j F", "\\a\\t H", "D j", "DATE_FORMAT")  # fmt: skip
INSTANTS = (
    datetime(2026, 5, 31, 4, 8, 9, 123, tzinfo=UTC),
    datetime(987, 12, 1, 23, 59, tzinfo=UTC),
    None,
    "",
)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("value", INSTANTS, ids=str)
def test_a_date_reads_as_django_writes_it(form, value):
    source = "{{ value|date:form }}"
    context = Context({"value": value, "form": form})
    with timezone.override("Asia/Kolkata"):
        assert Template(source).render(context) == django_template(source).render(context)


@pytest.mark.parametrize("form", ["c", "j F", "D j", "DATE_FORMAT"])
def test_a_day_reads_as_django_writes_it(form):
    source, told = f"{{{{ value|date:'{form}' }}}}", {"value": date(2026, 1, 9)}
    assert Template(source).render(Context(told)) == django_template(source).render(Context(told))


@pytest.mark.parametrize(
    "source",
    [
        "{% url 'requests:my_access' %}",
        "{% url 'requests:detail' pk=number %} {% url 'requests:detail' number %}",
        "{% url 'requests:detail' pk='7' %} {% url 'requests:detail' pk=large %}",
        "{% url 'requests:new' as there %}{{ there }}",
        "{% url 'requests:nowhere' as there %}<{{ there }}>",
        "{% url name pk=number %}",
    ],
)
def test_an_address_is_the_one_django_tells(source):
    for number in (7, 0, 12_345_678_901):
        told = {"number": number, "large": 10**20, "name": "requests:decide"}
        assert Template(source).render(Context(told)) == django_template(source).render(
            Context(told)
        )


@pytest.mark.parametrize("source", ["{% url 'requests:nowhere' %}", "{% url 'requests:new' 7 %}"])
def test_an_address_that_is_none_is_told(source):
    with pytest.raises(NoReverseMatch):
        Template(source).render(Context())


def test_addresses_follow_where_the_portal_is_mounted():
    template = Template("{% url 'requests:detail' pk=7 %}")
    assert template.render(Context()) == "/requests/AR-7/"
    set_script_prefix("/portal/")
    try:
        assert template.render(Context()) == "/portal/requests/AR-7/"
    finally:
        clear_script_prefix()


def test_what_is_kept_is_drawn_from_what_it_is_given():
    source = '{% kept "components/status_word.html" with status=status label=label only %}'
    for label in ("<b>", mark_safe("<b>"), "<b>", 1, True):
        told = {"status": "active", "label": label}
        assert Template(source).render(Context(told)) == Template(
            source.replace("kept", "include")
        ).render(Context(told))


def test_what_is_kept_says_what_it_is_drawn_from():
    with pytest.raises(TemplateSyntaxError):
        Template('{% kept "components/status_word.html" with status=status %}')


def django_template(source):
    return Engine().from_string(source)


@pytest.mark.parametrize(
    ("model", "field", "words"),
    [
        (Event, "event", EventName.choices),
        (AccessRequest, "status", Status.choices),
        (AccessFlow, "approval", AccessFlow.Approval.choices),
        (User, "role", Role.choices),
    ],
)
def test_words_for_a_value_are_those_of_its_field(model, field, words):
    said = [getattr(model(**{field: value}), f"get_{field}_display")() for value, _ in words]
    assert said == [label for _, label in words]
    assert getattr(model(**{field: "of old"}), f"get_{field}_display")() == "of old"
