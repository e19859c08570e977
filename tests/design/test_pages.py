"""Error pages stand on their own, and a first visit stays light."""

import gzip
import re
from collections.abc import Iterable
from pathlib import Path

import django_htmx
import pytest
from django.template.loader import render_to_string

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("page", ["400", "403", "403_csrf", "404", "429", "500"])
def test_error_page_needs_no_request(page: str) -> None:
    text = render_to_string(f"{page}.html")
    assert f"<dd>{page[:3]}</dd>" in text


def test_all_pages_together_weigh_less_than_80_kilobytes() -> None:
    htmx = Path(django_htmx.__file__).parent / "static" / "django_htmx" / "htmx-2.min.js"
    files = [*(ROOT / "static").rglob("*.*"), htmx, ROOT / "templates/components/icons.html"]
    assert weight(files) < 80_000


def test_first_visit_weighs_less_than_30_kilobytes() -> None:
    """Signing in and My Access, with everything these two pages link to."""
    names = ("base", "layouts/entrance", "layouts/app", "users/sign_in", "requests_app/my_access")
    text = "".join((ROOT / f"templates/{name}.html").read_text() for name in names)
    linked = {ROOT / "static" / name for name in re.findall(r"{% static '([^']+)' %}", text)}
    assert weight([*linked, ROOT / "templates/components/icons.html"]) < 30_000


def weight(files: Iterable[Path]) -> int:
    return sum(len(gzip.compress(file.read_bytes())) for file in files)
