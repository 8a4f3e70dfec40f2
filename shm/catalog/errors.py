"""The two ways in which the catalog says no; raised everywhere in this package.

A :class:`RefusedError` is an answer to whoever asked for a change and becomes a box error in Lua;
a :class:`CatalogError` is about the file, and its text is for a person.
"""

from __future__ import annotations


class RefusedError(Exception):
    """A change that may not be: the name of a box error and the values of its text."""

    def __init__(self, code: str, *values: str) -> None:
        super().__init__(code, *values)
        self.code = code
        self.values = values


class CatalogError(Exception):
    """The file cannot be used, or not now; nothing was changed."""
