"""How ``beespace sessions`` shows sessions to a person. Pure: rows in, lines out.

Columns that say nothing about any of the sessions are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from server.cli.texts import NOTHING, moment, size, span, table
from server.harmless import clean
from shm.census import SessionRow
from shm.history import EndedRow

_Cell = Callable[[Any], str]


def _text(value: str | None) -> str:
    return NOTHING if value is None else clean(value)


def _user(row: SessionRow | EndedRow) -> str:
    return f"({row.uid})" if row.user is None else clean(row.user)


def _attributes(row: SessionRow | EndedRow) -> str:
    parts = (f"{key}={value}" for key, value in row.attrs.items())
    return clean(" ".join(parts)) or NOTHING


_CELLS: Final[dict[str, _Cell]] = {
    "id": lambda row: str(row.id),
    "type": lambda row: str(row.type),
    "user": _user,
    "peer": lambda row: _text(row.peer),
    "listener": lambda row: _text(row.listener),
    "worker": lambda row: str(row.worker),
    "state": lambda row: str(row.state),
    "connected": lambda row: moment(row.connected),
    "ended": lambda row: moment(row.ended),
    "age": lambda row: span(row.age),
    "idle": lambda row: span(row.idle),
    "requests": lambda row: str(row.requests),
    "in flight": lambda row: str(row.in_flight),
    "in": lambda row: size(row.bytes_in),
    "out": lambda row: size(row.bytes_out),
    "unsent": lambda row: size(row.pending_out),
    "inbox": lambda row: size(row.inbox_bytes),
    "name": lambda row: _text(row.name),
    "attributes": _attributes,
    "reason": lambda row: _text(row.reason),
}
_SESSIONS: Final = tuple(title for title in _CELLS if title not in ("connected", "ended"))
_ENDED: Final = (
    *("id", "type", "user", "peer", "listener", "worker", "ended", "reason", "age"),
    *("requests", "in", "out", "name", "attributes"),
)
_RIGHT: Final = frozenset(
    {"id", "worker", "age", "idle", "requests", "in flight", "in", "out", "unsent", "inbox"}
)
_SELDOM: Final[dict[str, Callable[[Sequence[Any]], Any]]] = {
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
    yield from _table(_SESSIONS, rows)
    yield _sum(len(rows), total)


def ended_lines(rows: Sequence[EndedRow], total: int) -> Iterator[str]:
    """The same for sessions that have ended."""
    yield from _table(_ENDED, rows)
    yield f"{_sum(len(rows), total)} that {'has' if total == 1 else 'have'} ended"


def _table(titles: Sequence[str], rows: Sequence[Any]) -> Iterator[str]:
    if not rows:
        return
    shown = [title for title in titles if title not in _SELDOM or _SELDOM[title](rows)]
    yield from table([shown, *([_CELLS[title](row) for title in shown] for row in rows)], _RIGHT)
    yield ""


def _sum(count: int, total: int) -> str:
    of = f"{count} of {total}" if count < total else str(total)
    return f"{of} {'session' if total == 1 else 'sessions'}"
