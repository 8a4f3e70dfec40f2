"""multiprocess, made fit for a full disk: who needs it takes it from here.

It imports dill, which asks for a folder for temporary files and raises when it finds none that can
be written. Where the disk is full or read-only no worker could be started in the place of a dead
one, and no command could look at the server. Nobody makes temporary files here, so a folder is
named while multiprocess is imported: in this process, and in those that it starts.
"""

from __future__ import annotations

import tempfile
from typing import Any, Final

_before, tempfile.tempdir = tempfile.tempdir, "/"
try:
    import multiprocess
    from multiprocess import resource_tracker, util
    from multiprocess.shared_memory import SharedMemory
finally:
    tempfile.tempdir = _before

__all__ = ["SharedMemory", "multiprocess", "resource_tracker"]

_PREFACE: Final = (
    "import tempfile; tempfile.tempdir = '/'; import multiprocess; tempfile.tempdir = None; "
)
_start: Final[Any] = util.spawnv_passfds


def _start_prepared(path: Any, words: list[str], descriptors: Any) -> Any:
    """Start ``python -c PROGRAM``, as multiprocess starts its processes."""
    at = words.index("-c") + 1
    return _start(path, [*words[:at], _PREFACE + words[at], *words[at + 1 :]], descriptors)


util.spawnv_passfds = _start_prepared
