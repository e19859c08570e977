"""The form pack: names, hints and errors reach assistive technology."""

import re

import pytest
from crispy_forms.utils import render_crispy_form
from django import forms
from django.template import Context, Template
from django.template.loader import render_to_string


class FlowForm(forms.Form):
    name = forms.CharField(label="Access Flow Name", help_text="What people look for.")
    require_mfa = forms.BooleanField(
        label="Require MFA", required=False, widget=forms.CheckboxInput(attrs={"role": "switch"})
    )
    approval = forms.ChoiceField(choices=[("any", "Any of them")])
    groups = forms.MultipleChoiceField(choices=[("1", "Orders owners"), ("2", "Billing owners")])
    kind = forms.ChoiceField(choices=[("self", "Self Serve")], widget=forms.RadioSelect)


class CodeForm(forms.Form):
    code = forms.CharField()


def rendered(form: forms.Form) -> str:
    return Template("{% load crispy_forms_tags %}{{ form|crispy }}").render(Context({"form": form}))


def test_label_names_its_control() -> None:
    assert re.search(r'<label for="id_name">\s*Access Flow Name', rendered(FlowForm()))


def test_hint_is_tied_to_its_control() -> None:
    page = rendered(FlowForm())
    assert 'aria-describedby="id_name_helptext"' in page
    assert 'id="id_name_helptext"' in page


def test_error_is_announced_and_tied_to_its_control() -> None:
    page = rendered(FlowForm({"name": ""}))
    assert re.search(r'<input[^>]*name="name"[^>]*aria-invalid="true"', page)
    assert 'aria-describedby="id_name_helptext id_name_error"' in page
    assert re.search(r'id="id_name_error" role="alert"', page)


def test_error_summary_links_to_the_field() -> None:
    page = rendered(FlowForm({"name": ""}))
    assert '<a href="#id_name">Access Flow Name</a>' in page


def test_form_without_errors_has_no_alert() -> None:
    assert "alert" not in rendered(FlowForm())


def test_switch_keeps_its_label_short() -> None:
    page = rendered(FlowForm())
    assert re.search(r'<label class="label" for="id_require_mfa">Require MFA</label>', page)
    assert re.search(r'<input type="checkbox" name="require_mfa" role="switch"', page)


def test_multiple_choice_is_a_list_of_checkboxes() -> None:
    page = rendered(FlowForm(initial={"groups": ["2"]}))
    boxes = re.findall(r'<input type="checkbox" name="groups" value="(\d)"( checked)?', page)
    assert boxes == [("1", ""), ("2", " checked")]


def test_typed_markup_is_shown_as_text() -> None:
    page = rendered(FlowForm({"name": "<b>x</b>", "groups": ["<i>"]}))
    assert "<b>x" not in page
    assert "<i>" not in page


def test_crispy_tag_draws_the_same_fields() -> None:
    page = render_crispy_form(FlowForm())
    assert page.lstrip().startswith("<form")
    assert 'id="div_id_name"' in page


@pytest.mark.parametrize(
    "wanted",
    ['autocomplete="one-time-code"', 'inputmode="numeric"', 'maxlength="16"', "required"],
)
def test_code_input_helps_the_keyboard(wanted: str) -> None:
    page = render_to_string("components/code_input.html", {"field": CodeForm()["code"]})
    assert wanted in page
    assert re.search(r'<label[^>]*for="id_code">Six-digit code</label>', page)


def test_code_is_never_echoed() -> None:
    form = CodeForm({"code": "123456"})
    assert "123456" not in render_to_string("components/code_input.html", {"field": form["code"]})
