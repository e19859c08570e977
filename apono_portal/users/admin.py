"""Django admin: people and groups. What is saved here goes through the services of the Users tab.

People are added and deactivated in the portal: the one gives out a link, the other ends access.
"""

from typing import TYPE_CHECKING, Any

import django.contrib.auth.admin  # noqa: F401  registers the groups page replaced below
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from accessflows.acting import action_context
from apono_portal.users import services
from apono_portal.users.exceptions import PersonRefused
from apono_portal.users.forms import GroupForm, printable
from apono_portal.users.models import User
from audit.admin import AuditedAdmin

if TYPE_CHECKING:
    UserModelForm = forms.ModelForm[User]
    GroupModelForm = forms.ModelForm[Group]
else:
    UserModelForm = GroupModelForm = forms.ModelForm

admin.site.unregister(Group)


class ThroughServices:
    """Saves with a service, and tells what it refuses instead of failing."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: Any) -> None:
        """Groups and members were saved by the service."""

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            answer: HttpResponse = super().changeform_view(request, *args, **kwargs)  # type: ignore[misc]
        except PersonRefused as refused:
            messages.error(request, refused.sentence)
            return HttpResponseRedirect(request.get_full_path())
        return answer


class PersonAdminForm(UserModelForm):
    class Meta:
        model = User
        fields = ("name", "role", "groups")
        widgets = {"groups": forms.CheckboxSelectMultiple}
        help_texts = {"groups": "Groups say what somebody may request and decide."}

    def clean_name(self) -> str:
        return printable(self.cleaned_data["name"])


@admin.register(User)
class UserAdmin(ThroughServices, AuditedAdmin):
    actions = None
    form: Any = PersonAdminForm
    fields = ("email", "name", "role", "groups", "is_active", "last_login", "created_at")
    readonly_fields = ("email", "is_active", "last_login", "created_at")
    list_display = ("name", "email", "role", "is_active", "last_login")
    list_filter = ("role", "is_active", "groups")
    search_fields = ("name", "email")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def view_on_site(self, obj: Any) -> str:
        return reverse("users:edit", kwargs={"pk": obj.pk})

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001
        services.change_user(**action_context(request), user=obj, **form.cleaned_data)


class GroupAdminForm(GroupModelForm):
    members = GroupForm.base_fields["members"]

    class Meta:
        model = Group
        fields = ("name",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        members: Any = self.fields["members"]
        members.queryset = User.objects.order_by("name", "email")
        if self.instance.pk:
            members.initial = self.instance.user_set.all()

    def clean_name(self) -> str:
        return printable(self.cleaned_data["name"])


@admin.register(Group)
class GroupAdmin(ThroughServices, AuditedAdmin):
    actions = None
    form: Any = GroupAdminForm
    fields = ("name", "members")
    search_fields = ("name",)

    def view_on_site(self, obj: Any) -> str:
        return reverse("users:edit_group", kwargs={"pk": obj.pk})

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001
        if change:
            services.change_group(**action_context(request), group=obj, **form.cleaned_data)
        else:
            obj.pk = services.create_group(**action_context(request), **form.cleaned_data).pk
