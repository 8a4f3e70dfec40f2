"""Names of users for who reads a segment, which has their ids only."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from shm.catalog.errors import CatalogError
from shm.catalog.snapshot import user_names
from shm.catalog.store import Store
from shm.segment import Segment


class Users:
    """The users of one server's catalog, which is only read."""

    def __init__(self, segment: Segment, catalog: Path) -> None:
        self._segment = segment
        self._catalog = catalog
        self._names: dict[int, str] = {}
        self._generation = 0.0

    def names(self) -> dict[int, str]:
        """Names by id, as the catalog has them now; those known last if it cannot be read.

        It is read again only when it has changed.
        """
        generation = float(self._segment.header.catalog_generation)
        if generation != self._generation:
            try:
                with closing(Store.look(self._catalog)) as store:
                    self._names = user_names(store)
            except CatalogError:
                return self._names
            self._generation = generation
        return self._names
