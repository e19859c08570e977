"""The pictures taken so far, and the page that shows them."""

from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Page

# What no picture may show: the key of an authenticator, recovery codes, a password.
SECRETS = (
    ".qr-tile",
    ".manual",
    ".recovery-codes",
    ".codes",
    ".creds .once",
    ".creds [data-secret]",
)
INTRODUCTION = """# A tour in pictures

From an access flow that requires MFA to a credential that ends, as the demo shows it. `make tour` takes these pictures
anew from a demo of its own; secrets are covered.
"""


@dataclass
class Album:
    """Numbered pictures below ``folder``, with a heading and a sentence each."""

    folder: Path
    page: Path
    lines: list[str] = field(default_factory=lambda: [INTRODUCTION])
    count: int = 0

    def take(
        self, page: Page, name: str, heading: str, sentence: str, *, full: bool = False
    ) -> None:
        self.count += 1
        file = self.folder / f"{self.count:02}-{name}.png"
        secrets = [page.locator(selector) for selector in SECRETS]
        page.mouse.move(0, 0)
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=str(file), full_page=full, mask=secrets, mask_color="#838d9c")
        address = file.relative_to(self.page.parent).as_posix()
        self.lines.append(f"## {self.count}. {heading}\n\n{sentence}\n\n![{heading}]({address})\n")

    def close(self) -> None:
        self.page.write_text("\n".join(self.lines))
