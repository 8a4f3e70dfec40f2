"""How ``beespace sessions`` shows sessions to a person. Pure: rows in, lines out.

Columns that say nothing about any of the sessions are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from server.cli.texts import NOTHING, clean, size, span, table
from shm.census import SessionRow

_Cell = Callable[[SessionRow], str]


def _text(value: str | None) -> str:
    return NOTHING if value is None else clean(value)


def _user(row: SessionRow) -> str:
    return f"({row.uid})" if row.user is None else clean(row.user)


def _attributes(row: SessionRow) -> str:
    parts = (f"{key}={value}" for key, value in row.attrs.items())
    return clean(" ".join(parts)) or NOTHING


_COLUMNS: Final[tuple[tuple[str, _Cell], ...]] = (
    ("id", lambda row: str(row.id)),
    ("type", lambda row: row.type),
    ("user", _user),
    ("peer", lambda row: _text(row.peer)),
    ("listener", lambda row: clean(row.listener)),
    ("worker", lambda row: str(row.worker)),
    ("state", lambda row: row.state),
    ("age", lambda row: span(row.age)),
    ("idle", lambda row: span(row.idle)),
    ("requests", lambda row: str(row.requests)),
    ("running", lambda row: str(row.in_flight)),
    ("in", lambda row: size(row.bytes_in)),
    ("out", lambda row: size(row.bytes_out)),
    ("unsent", lambda row: size(row.pending_out)),
    ("inbox", lambda row: size(row.inbox_bytes)),
    ("name", lambda row: _text(row.name)),
    ("attributes", _attributes),
    ("reason", lambda row: _text(row.reason)),
)
_RIGHT: Final = frozenset(
    {"id", "worker", "age", "idle", "requests", "running", "in", "out", "unsent", "inbox"}
)
_SELDOM: Final[dict[str, Callable[[Sequence[SessionRow]], Any]]] = {
    "listener": lambda rows: len({row.listener for row in rows}) > 1,
    "unsent": lambda rows: any(row.pending_out for row in rows),
    "inbox": lambda rows: any(row.inbox_bytes for row in rows),
    "name": lambda rows: any(row.name is not None for row in rows),
    "attributes": lambda rows: any(row.attrs for row in rows),
    "reason": lambda rows: any(row.reason is not None for row in rows),
}
"""Columns that are there when these say so."""


def lines(rows: Sequence[SessionRow], total: int) -> Iterator[str]:
    """The sessions as a table, and of how many they are the first."""
    if rows:
        columns = [
            (title, cell)
            for title, cell in _COLUMNS
            if title not in _SELDOM or _SELDOM[title](rows)
        ]
        head = [title for title, _ in columns]
        yield from table([head, *([cell(row) for _, cell in columns] for row in rows)], _RIGHT)
        yield ""
    of = f"{len(rows)} of {total}" if len(rows) < total else str(total)
    yield f"{of} {'session' if total == 1 else 'sessions'}"
