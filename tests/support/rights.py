"""Work without the rights of root, so that the modes of files count for tests that run as root, too."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator

_VERSION = 0x20080522  # capget(2), _LINUX_CAPABILITY_VERSION_3
_DAC_OVERRIDE, _DAC_READ_SEARCH = 1, 2  # capabilities(7)

_Header = ctypes.c_uint32 * 2  # version, thread: 0 is this one
_Sets = ctypes.c_uint32 * 6  # effective, permitted, inheritable, and the upper halves of each


@contextlib.contextmanager
def of_a_user() -> Iterator[None]:
    """This thread, and those that it starts meanwhile, may do with files what their modes let their owner do.

    Programs that it starts have the rights of root again.
    """
    if os.geteuid() != 0:
        yield
        return
    before = _effective()
    _set_effective(before & ~(1 << _DAC_OVERRIDE | 1 << _DAC_READ_SEARCH))
    try:
        yield
    finally:
        _set_effective(before)


def _effective() -> int:
    return _ask("capget", _Sets())[0]


def _set_effective(to: int) -> None:
    sets = _ask("capget", _Sets())
    sets[0] = to
    _ask("capset", sets)


def _ask(call: str, sets: ctypes.Array[ctypes.c_uint32]) -> ctypes.Array[ctypes.c_uint32]:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, call)(_Header(_VERSION, 0), sets) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), call)
    return sets
