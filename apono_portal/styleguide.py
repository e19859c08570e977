"""Every component of the pages in its states. Served only if DEBUG is on."""

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
    """Every kind of field the crispy template pack renders."""

    name = forms.CharField(label="Access Flow Name", help_text="Shown to requesters.")
    require_mfa = forms.BooleanField(
        label="Require MFA",
        required=False,
        initial=True,
        help_text="Requesters enter a six-digit code before they get access.",
        widget=forms.CheckboxInput(attrs={"role": "switch"}),
    )
    hours = forms.IntegerField(label="Maximum duration", max_value=8)
    approval = forms.ChoiceField(choices=(("any", "Any of the approvers"), ("all", "All of them")))
    resources = forms.MultipleChoiceField(choices=RESOURCES, required=False)
    duration = forms.ChoiceField(
        choices=(("30", "30 min"), ("60", "1 h"), ("120", "2 h")),
        initial="60",
        widget=forms.RadioSelect(attrs={"class": "segmented"}),
    )
    type = forms.ChoiceField(choices=(("self", "Self Serve"),), widget=forms.RadioSelect)
    also = forms.BooleanField(label="Also revoke active grants", required=False)
    reason = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 3}), help_text="Recorded in the audit log."
    )


class CodeForm(forms.Form):
    """One six-digit code."""

    code = forms.CharField(label="Six-digit code")


@login_not_required
def components(request: HttpRequest) -> HttpResponse:
    """Render every component in its states."""
    invalid_form = SampleForm({"name": "", "hours": "9", "duration": "60"}, prefix="invalid")
    invalid_code_form = CodeForm({"code": ""}, prefix="invalid")
    context = {
        "colours": COLOURS,
        "statuses": STATUSES,
        "form": SampleForm(),
        "invalid_form": invalid_form,
        "code_form": CodeForm(),
        "invalid_code_form": invalid_code_form,
        "page": Paginator(range(120), 25).page(2),
        "ends_at": timezone.now() + timedelta(minutes=138),
        "ends_soon": timezone.now() + timedelta(minutes=12),
        "banners": (
            SimpleNamespace(kind="set_up", pending="billing-prod"),
            SimpleNamespace(kind="enter_code", pending="billing-prod, ledger-prod"),
        ),
    }
    return render(request, "styleguide.html", context)
