from django.apps import AppConfig


class RequestsConfig(AppConfig):
    name = "requests_app"
    verbose_name = "Requests and grants"

    def ready(self) -> None:
        from audit.integrity.verification import row_checks
        from requests_app.evidence_checks import find_unrecorded_rows

        row_checks.append(find_unrecorded_rows)
