"""URLs of the SCIM endpoint and of the Provisioning pages."""

from django.urls import path

from apono_portal.scim.views import directories
from apono_portal.scim.views.endpoint import endpoint

app_name = "scim"
urlpatterns = [
    path("scim/v2/", endpoint, name="root"),
    path("scim/v2/<path:path>", endpoint, name="endpoint"),
    path("users/provisioning/", directories.directories, name="directories"),
    path("users/provisioning/new/", directories.create, name="create"),
    path("users/provisioning/<int:pk>/token/", directories.create_token, name="create_token"),
    path("users/provisioning/<int:pk>/disconnect/", directories.delete, name="delete"),
    path("users/provisioning/tokens/<int:pk>/revoke/", directories.revoke_token, name="revoke"),
]
