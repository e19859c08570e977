"""The living page of components, for whoever draws pages. Served only under DEBUG."""

from datetime import timedelta
from types import SimpleNamespace

from django import forms
from django.contrib.auth.decorators import login_not_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

COLOURS = (
    ("canvas", "page"),
    ("surface", "cards"),
    ("sunken", "insets"),
    ("line", "hairlines"),
    ("control", "borders, 3:1"),
    ("ink-3", "secondary"),
    ("ink-2", "body"),
    ("ink", "titles"),
    ("accent", "action"),
    ("green", "on, active"),
    ("amber", "you, MFA"),
    ("red", "failed"),
)
STATUSES = (
    "pending_mfa",
    "pending_approval",
    "granting",
    "active",
    "revoking",
    "expired",
    "revoked",
    "rejected",
    "lapsed",
    "cancelled",
    "failed",
)
RESOURCES = (("1", "orders-prod"), ("2", "billing-prod"), ("3", "ledger-prod"))


class SampleForm(forms.Form):
    """Every kind of field the form pack draws."""

    name = forms.CharField(label="Access Flow Name", help_text="What people look for.")
    require_mfa = forms.BooleanField(
        label="Require MFA",
        required=False,
        initial=True,
        help_text="Everyone draft through this flow enters a six-digit code first.",
        widget=forms.CheckboxInput(attrs={"role": "switch"}),
    )
    hours = forms.IntegerField(label="Longest duration", max_value=8)
    approval = forms.ChoiceField(choices=(("any", "Any of the approvers"), ("all", "All of them")))
    resources = forms.MultipleChoiceField(choices=RESOURCES, required=False)
    duration = forms.ChoiceField(
        choices=(("30", "30 min"), ("60", "1 h"), ("120", "2 h")),
        initial="60",
        widget=forms.RadioSelect(attrs={"class": "segmented"}),
    )
    type = forms.ChoiceField(choices=(("self", "Self Serve"),), widget=forms.RadioSelect)
    also = forms.BooleanField(label="Also end the grants active now", required=False)
    reason = forms.CharField(widget=forms.Textarea(attrs={"rows": 3}), help_text="On the record.")


class CodeForm(forms.Form):
    """One six-digit code."""

    code = forms.CharField(label="Six-digit code")


@login_not_required
def components(request: HttpRequest) -> HttpResponse:
    """Show every component in its states."""
    wrong = SampleForm({"name": "", "hours": "9", "duration": "60"}, prefix="wrong")
    wrong_code = CodeForm({"code": ""}, prefix="wrong")
    context = {
        "colours": COLOURS,
        "statuses": STATUSES,
        "form": SampleForm(),
        "wrong_form": wrong,
        "code_form": CodeForm(),
        "wrong_code_form": wrong_code,
        "page": Paginator(range(120), 25).page(2),
        "ends_at": timezone.now() + timedelta(minutes=138),
        "ends_soon": timezone.now() + timedelta(minutes=12),
        "banners": (
            SimpleNamespace(kind="set_up", pending="billing-prod"),
            SimpleNamespace(kind="enter_code", pending="billing-prod, ledger-prod"),
        ),
    }
    return render(request, "styleguide.html", context)
