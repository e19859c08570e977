"""Appending to files that other programs read."""

import errno
import os
from pathlib import Path

from audit.outbox.deliveries import DeliveryFailed


def append_whole(file: Path, data: bytes) -> None:
    """Append data, whole or not at all: a full disk takes a part without an error."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    try:
        descriptor = os.open(file, flags, 0o640)
        try:
            size = os.fstat(descriptor).st_size
            if os.write(descriptor, data) < len(data):
                os.ftruncate(descriptor, size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise DeliveryFailed(f"The file cannot be written: {error.strerror}.") from None
