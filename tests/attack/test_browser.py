"""The campaign's browser reads forms as browsers do."""

import pytest

from bench.browser import Response

PAGE = """
<form method="post" action="/a/"><input name="csrfmiddlewaretoken" value="t">
<input name="text" value="&amp;"><input type="checkbox" name="off" value="1">
<input type="checkbox" name="on" value="1" checked><textarea name="area">
said</textarea><select name="one"><option value="1"><option value="2" selected></select>
<select name="many" multiple><option value="1" selected><option value="2" selected></select>
<button name="go" value="x">Go</button></form><input name="stray" value="s" form="f">
<form id="f" action="?q"></form>
"""


def response(text: str = PAGE, location: str = "") -> Response:
    return Response(200, "/here/", {"location": location}, text)


def test_a_form_is_sent_as_it_came() -> None:
    form = response().form("text")
    assert form.action == "/a/"
    assert form.fields == [
        ("csrfmiddlewaretoken", "t"), ("text", "&"), ("on", "1"), ("area", "said"), ("one", "2"),
        ("many", "1"), ("many", "2"),
    ]  # fmt: skip


def test_changed_fields_replace_all_of_their_name() -> None:
    pairs = response().form("text").filled(many=["3"], off="1", text="new")
    assert [value for name, value in pairs if name == "many"] == ["3"]
    assert ("off", "1") in pairs
    assert ("text", "new") in pairs


def test_a_field_may_stand_outside_its_form() -> None:
    [_, other] = response().forms()
    assert (other.method, other.action, other.fields) == ("get", "/here/?q", [("stray", "s")])


def test_a_redirect_is_a_path_here_or_a_whole_address() -> None:
    assert response(location="../next/?a=1").path == "/next/?a=1"
    assert response(location="https://evil.example/").path == "https://evil.example/"


def test_a_form_is_found_by_its_fields_and_its_address() -> None:
    assert response().form("off", "many", action="/a").action == "/a/"
    with pytest.raises(LookupError):
        response().form("stray")  # it is no POST form
