"""Catalogs for tests that are about something else: the file is made once and copied.

With ``open_to_guests`` guest has the role super, so that every connection may call and evaluate
everything; without it the catalog is that of a new server.
"""

from __future__ import annotations

import functools
import os
import tempfile
from pathlib import Path
from typing import Final

from shm.catalog import changes
from shm.catalog.store import FILE, Store

OPEN_TO_GUESTS: Final = (1, "user", "guest", "super")
"""Arguments of grant_role."""


def seed(folder: Path, open_to_guests: bool = True) -> Path:
    """Put a catalog into a data directory, which is made when needed; its path."""
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / FILE
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(_content(open_to_guests))
    return path


@functools.cache
def _content(open_to_guests: bool) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / FILE
        store = Store.make(path, durable=False)
        if open_to_guests:
            changes.apply(store, "grant_role", OPEN_TO_GUESTS)
        store.close()
        return path.read_bytes()
