"""Certificates as a file, which is all that libpq reads (PostgreSQL manual, "SSL Support")."""

import hashlib
import os
import tempfile
from functools import cache
from pathlib import Path


def certificate_file(text: str) -> str:
    """Return the path of a file with these certificates, in a folder of this process."""
    path = Path(_folder().name, f"{hashlib.sha256(text.encode()).hexdigest()}.pem")
    if not path.exists():
        path.parent.mkdir(mode=0o700, exist_ok=True)  # temporary folders may have been cleaned up
        descriptor, new = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(descriptor, "w") as handle:
            handle.write(text)
        Path(new).replace(path)
    return str(path)


@cache
def _folder() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="apono-ca-", ignore_cleanup_errors=True)
