"""The colours of static/css/tokens.css, measured after WCAG 2.2 (1.4.3 text 4.5:1, 1.4.11 controls 3:1)."""

import re
from functools import cache
from pathlib import Path

import pytest

TOKENS = Path(__file__).resolve().parents[2] / "static" / "css" / "tokens.css"
LIGHT, DARK = 0, 1

TEXT = [
    *[(ink, ground) for ink in ("ink", "ink-2", "ink-3") for ground in ("canvas", "surface")],
    *[(ink, ground) for ink in ("ink", "ink-2", "ink-3") for ground in ("nav", "sunken")],
    *[("accent-ink", ground) for ground in ("canvas", "surface", "sunken", "accent-soft", "nav")],
    *[("ink-2", f"{hue}-soft") for hue in ("green", "amber", "red", "accent")],
    *[("ink", f"{hue}-soft") for hue in ("green", "amber", "red", "accent")],
    *[("ink-3", f"{hue}-soft") for hue in ("amber", "accent")],
    *[(f"{hue}-ink", f"{hue}-soft") for hue in ("green", "amber", "red")],
    *[(f"{hue}-ink", "surface") for hue in ("green", "amber", "red")],
    *[("on-solid", fill) for fill in ("accent", "accent-hover", "red", "red-hover")],
]
CONTROLS = [
    *[("control", ground) for ground in ("surface", "canvas")],
    *[("focus", ground) for ground in ("surface", "canvas", "sunken", "nav")],
    *[(hue, "surface") for hue in ("green", "amber", "red", "accent")],
    ("amber", "amber-soft"),
    ("green", "green-soft"),
]


@cache
def tokens() -> dict[str, tuple[str, str]]:
    """Return name -> (light, dark), from declarations like ``--ink: light-dark(#161b23, #e9edf2)``."""
    source = TOKENS.read_text()
    pairs = re.findall(
        r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);", source, re.IGNORECASE
    )
    plain = re.findall(r"--([\w-]+): (#[0-9a-f]{6});", source, re.IGNORECASE)
    return {name: (light, dark) for name, light, dark in pairs} | {
        name: (value, value) for name, value in plain
    }


def luminance(colour: str) -> float:
    """Relative luminance of ``#rrggbb``, WCAG 2.2 definition."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(front: str, back: str, theme: int) -> float:
    values = sorted(luminance(tokens()[name][theme]) for name in (front, back))
    return (values[1] + 0.05) / (values[0] + 0.05)


def test_black_on_white_measures_twenty_one() -> None:
    assert (luminance("#ffffff") + 0.05) / (luminance("#000000") + 0.05) == pytest.approx(21)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("front", "back"), TEXT)
def test_text_can_be_read(front: str, back: str, theme: int) -> None:
    assert contrast(front, back, theme) >= 4.5


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("front", "back"), CONTROLS)
def test_controls_can_be_seen(front: str, back: str, theme: int) -> None:
    assert contrast(front, back, theme) >= 3


def test_only_the_tokens_hold_raw_colours() -> None:
    raw = re.compile(r"#[0-9a-f]{3,8}\b(?![^{}]*\{)|rgb\(|hsl\(", re.IGNORECASE)
    for sheet in TOKENS.parent.rglob("*.css"):
        if sheet != TOKENS:
            assert not raw.findall(sheet.read_text()), sheet.name


def test_every_used_token_is_defined() -> None:
    defined = set(re.findall(r"(--[\w-]+):", "".join(map(Path.read_text, _sheets()))))
    used = set(re.findall(r"var\((--[\w-]+)", "".join(map(Path.read_text, _sheets()))))
    assert used <= defined


def _sheets() -> list[Path]:
    return list(TOKENS.parent.rglob("*.css"))
