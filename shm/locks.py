"""The mutexes inside the segment, which workers lock.

A lock is a pthread mutex that processes share. It is robust: when the process that holds it dies,
the next one gets it and is told so. The supervisor makes the locks while it makes the segment;
workers lock and unlock in LuaJIT (workers/lua/engine/locks.lua), no Python process ever does.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any, Final

_ATTRIBUTE_BYTES: Final = 64
_SHARED: Final = 1
_ROBUST: Final = 1
_ERROR_CHECKING: Final = 2
"""Who locks what it holds already is told so, instead of waiting for itself."""


def prepare(*locks: Any) -> None:
    """Make each ctypes array of LOCK_BYTES a free lock; OSError when the system refuses."""
    pthread = ctypes.CDLL(None)
    attribute = (ctypes.c_uint8 * _ATTRIBUTE_BYTES)()
    _check(pthread.pthread_mutexattr_init(attribute))
    _check(pthread.pthread_mutexattr_setpshared(attribute, _SHARED))
    _check(pthread.pthread_mutexattr_setrobust(attribute, _ROBUST))
    _check(pthread.pthread_mutexattr_settype(attribute, _ERROR_CHECKING))
    for lock in locks:
        _check(pthread.pthread_mutex_init(lock, attribute))
    _check(pthread.pthread_mutexattr_destroy(attribute))


def _check(code: int) -> None:
    if code != 0:
        raise OSError(code, os.strerror(code))
