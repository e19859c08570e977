"""The verifier as one file, for machines without the portal: ``python verify-export.pyz``."""

import io
from pathlib import Path
from zipfile import ZipFile

FILENAME = "verify-export.pyz"
PACKAGE = Path(__file__).parent


def verifier_archive() -> bytes:
    """Return this package as a zip file that Python runs."""
    archive = io.BytesIO()
    with ZipFile(archive, "w") as files:
        files.write(PACKAGE / "__main__.py", "__main__.py")
        files.writestr("audit/__init__.py", "")
        for path in sorted(PACKAGE.glob("*.py")):
            files.write(path, f"audit/verify_export/{path.name}")
    return archive.getvalue()
