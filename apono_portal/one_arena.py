"""One heap for all threads of a process that has many which rest."""

import ctypes

_M_ARENA_MAX = -8  # mallopt(3)


def share_one_arena() -> None:
    """Have the C library give threads no heap of their own: each keeps what was ever needed in it.

    Python's threads hardly ever wait for it. Nothing happens where the library has no such setting.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_M_ARENA_MAX, 1)
