"""A form that stores a row, a list of rows, and a bare verification with django-otp."""

from django import forms
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django_otp import verify_token

from bench.speed.floor.models import AuditRow, Note


class NoteForm(forms.ModelForm):
    class Meta:
        model = Note
        fields = ["text"]


class CodeForm(forms.Form):
    device = forms.CharField()
    token = forms.RegexField(r"^[0-9]{6}$")


@login_required
def note(request: HttpRequest) -> HttpResponse:
    form = NoteForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        form.instance.author = request.user
        form.save()
        return redirect("note")
    return render(request, "floor/note.html", {"form": form})


@login_required
def rows(request: HttpRequest) -> HttpResponse:
    found = AuditRow.objects.select_related("actor").order_by("-pk")
    page = Paginator(found, 25).get_page(request.GET.get("page"))
    return render(request, "floor/rows.html", {"page": page})


@login_required
def raw(request: HttpRequest) -> HttpResponse:
    form = CodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        asked = form.cleaned_data
        device = verify_token(request.user, asked["device"], asked["token"])
        if device is not None:
            request.session["otp_device"] = device.persistent_id
            AuditRow.objects.create(
                event="mfa:verify",
                actor=request.user,
                address=request.META["REMOTE_ADDR"],
                metadata={"device": device.persistent_id},
            )
            return redirect("raw")
        form.add_error("token", "That code did not match.")
    return render(request, "floor/note.html", {"form": form})
