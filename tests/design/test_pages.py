"""Error pages stand on their own, and a first visit stays light."""

import gzip
from pathlib import Path

import django_htmx
import pytest
from django.template.loader import render_to_string

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("page", ["400", "403", "403_csrf", "404", "429", "500"])
def test_error_page_needs_no_request(page: str) -> None:
    text = render_to_string(f"{page}.html")
    assert f"<dd>{page[:3]}</dd>" in text


def test_first_visit_weighs_less_than_sixty_kilobytes() -> None:
    htmx = Path(django_htmx.__file__).parent / "static" / "django_htmx" / "htmx-2.min.js"
    files = [*(ROOT / "static").rglob("*.*"), htmx, ROOT / "templates/components/icons.html"]
    assert sum(len(gzip.compress(file.read_bytes())) for file in files) < 60_000
