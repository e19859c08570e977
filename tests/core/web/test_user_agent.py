"""Readable names of browsers."""

import pytest

from apono_portal.core.web.user_agent import name_browser

CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15"


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "Firefox on Linux",
        ),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64) {CHROME} Safari/537.36", "Chrome on Windows"),
        (f"Mozilla/5.0 (Windows NT 10.0) {CHROME} Safari/537.36 Edg/140.0", "Edge on Windows"),
        (f"Mozilla/5.0 (Linux; Android 10; K) {CHROME} Mobile Safari/537.36", "Chrome on Android"),
        (f"{IPHONE} Version/18.5 Mobile/15E148 Safari/604.1", "Safari on iPhone"),
        ("curl/8.5.0", "curl"),
        ("scanner-7 (+https://example.org)", "scanner-7"),
        ("", "Unknown browser"),
    ],
)
def test_a_browser_has_a_readable_name(user_agent: str, name: str) -> None:
    assert name_browser(user_agent) == name
