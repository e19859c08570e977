"""URLs of the audit log."""

from django.urls import path

from audit.integrity import views as integrity
from audit.log import views as log

app_name = "audit"
urlpatterns = [
    path("", log.log, name="list"),
    path("verification/", integrity.verification, name="verification"),
    path("verification/start/", integrity.verify, name="verify"),
    path("checkpoint/", integrity.checkpoint, name="checkpoint"),
    path("verifier/", integrity.verifier, name="verifier"),
    path("exports/<uuid:token>/", log.progress, name="export_progress"),
    path("export.csv", log.export, {"file_format": "csv"}, name="export_csv"),
    path("export.jsonl", log.export, {"file_format": "jsonl"}, name="export_jsonl"),
]
