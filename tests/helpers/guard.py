"""Memory that ends at an inaccessible page: a read behind the last byte kills the process.

Used by tests/workers/lua for everything that reads bytes of a peer.
"""

from __future__ import annotations

import ctypes
import mmap

_LIBC = ctypes.CDLL(None, use_errno=True)
_PROT_NONE = 0


class GuardedPages:
    """``size`` bytes (rounded up to pages) in front of a page that cannot be touched."""

    def __init__(self, size: int) -> None:
        self._room = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
        self._map = mmap.mmap(-1, self._room + mmap.PAGESIZE)
        self._start = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        guard = ctypes.c_void_p(self._start + self._room)
        if _LIBC.mprotect(guard, ctypes.c_size_t(mmap.PAGESIZE), _PROT_NONE) != 0:
            raise OSError(ctypes.get_errno(), "mprotect")

    def put(self, data: bytes) -> int:
        """The address of ``data``, placed right before the guard."""
        at = self._room - len(data)
        self._map[at : self._room] = data
        return self._start + at
