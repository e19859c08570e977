"""Users and groups in Django admin, saved through the services of the Users tab.

Users are added and deactivated in the portal only: adding issues a password link, deactivating
revokes access.
"""

from typing import TYPE_CHECKING, Any, cast

import django.contrib.auth.admin  # noqa: F401  registers the groups page replaced below
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from accessflows.acting import action_context
from accessflows.form_fields import RowsField, SeenField
from apono_portal.core.formatting.printable import validate_printable
from apono_portal.core.web.types import PortalRequest
from apono_portal.users import services
from apono_portal.users.exceptions import UserError
from apono_portal.users.models import User
from audit.admin import AuditedAdmin

if TYPE_CHECKING:
    UserModelForm = forms.ModelForm[User]
    GroupModelForm = forms.ModelForm[Group]
else:
    UserModelForm = GroupModelForm = forms.ModelForm

admin.site.unregister(Group)


class ServiceAdmin(AuditedAdmin):
    """Save with a service, and show its error instead of failing."""

    actions = None

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def save_related(
        self, request: HttpRequest, form: object, formsets: object, change: object
    ) -> None:
        """Do nothing: the service saved groups and members."""

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return super().changeform_view(request, *args, **kwargs)
        except UserError as error:
            messages.error(request, error.sentence)
            return HttpResponseRedirect(request.get_full_path())


class UserAdminForm(UserModelForm):
    groups = RowsField(
        label="Groups", help_text="Groups decide what a user may request and approve."
    )
    seen = SeenField()

    class Meta:
        model = User
        fields = ("name", "role", "groups")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        cast(RowsField, self.fields["groups"]).queryset = Group.objects.order_by("name")
        self.fields["seen"].initial = services.user_digest(self.instance)

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        validate_printable(name)
        return name


@admin.register(User)
class UserAdmin(ServiceAdmin):
    form: Any = UserAdminForm
    fields = ("email", "name", "role", "groups", "is_active", "last_login", "created_at", "seen")
    readonly_fields = ("email", "is_active", "last_login", "created_at")
    list_display = ("name", "email", "role", "is_active", "last_login")
    list_filter = ("role", "is_active", "groups")
    search_fields = ("name", "email")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def view_on_site(self, obj: Model) -> str:
        return reverse("users:detail", kwargs={"pk": obj.pk})

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001
        services.change_user(
            **action_context(cast(PortalRequest, request)), user=obj, **form.cleaned_data
        )


class GroupAdminForm(GroupModelForm):
    members = RowsField(label="Members", help_text="An empty group matches nobody.")
    seen = SeenField()

    class Meta:
        model = Group
        fields = ("name",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        members = cast(RowsField, self.fields["members"])
        members.queryset = User.objects.order_by("name", "email")
        if self.instance.pk:
            members.initial = self.instance.user_set.all()
            self.fields["seen"].initial = services.group_digest(self.instance)

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        validate_printable(name)
        return name


@admin.register(Group)
class GroupAdmin(ServiceAdmin):
    form: Any = GroupAdminForm
    fields = ("name", "members", "seen")
    search_fields = ("name",)

    def view_on_site(self, obj: Model) -> str:
        return reverse("users:group", kwargs={"pk": obj.pk})

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001
        if change:
            services.change_group(
                **action_context(cast(PortalRequest, request)), group=obj, **form.cleaned_data
            )
        else:
            obj.pk = services.create_group(
                **action_context(cast(PortalRequest, request)),
                name=form.cleaned_data["name"],
                members=form.cleaned_data["members"],
            ).pk
