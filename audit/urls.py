"""Addresses of the audit log."""

from django.urls import path

from audit.integrity import views as verification
from audit.log import views

app_name = "audit"
urlpatterns = [
    path("", views.log, name="list"),
    path("verification/", verification.verification, name="verification"),
    path("verification/ask/", verification.ask, name="verify"),
    path("exports/<uuid:token>/", views.progress, name="export_progress"),
    path("export.csv", views.export, {"form": "csv"}, name="export_csv"),
    path("export.jsonl", views.export, {"form": "jsonl"}, name="export_jsonl"),
]
