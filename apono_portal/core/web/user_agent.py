"""Readable names of browsers."""

# The first match wins: browsers also name those they descend from.
PROGRAMS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
)
SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def name_browser(user_agent: str) -> str:
    """Return "Firefox on Linux" for a User-Agent header; its first word if it is unknown."""
    program = _first(PROGRAMS, user_agent)
    system = _first(SYSTEMS, user_agent)
    if program and system:
        return f"{program} on {system}"
    return program or user_agent.partition(" ")[0][:40] or "Unknown browser"


def _first(names: tuple[tuple[str, str], ...], text: str) -> str:
    return next((name for token, name in names if token in text), "")
