"""Words and tables for people. Pure: values in, text out.

What comes from clients (names, attributes, paths of sockets) goes through
:func:`server.harmless.clean`, so that nothing in it steers a terminal.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Final

from server.harmless import padded, width

NOTHING: Final = "-"

_SPANS: Final = ((86400, "d"), (3600, "h"), (60, "min"))
_SIZES: Final = ("KiB", "MiB", "GiB", "TiB")
_KIBI: Final = 1024
_ROUND: Final = 1023.95
"""What is shown as 1024.0 belongs to the next unit."""


def moment(seconds: float) -> str:
    """A time of the epoch as the log writes it."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def span(seconds: float) -> str:
    """A length of time in its largest unit and the next one."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    left = int(seconds)
    parts: list[str] = []
    for size, unit in (*_SPANS, (1, "s")):
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])


def size(count: float) -> str:
    """Bytes in the unit that leaves a number below 1024."""
    if count < _KIBI:
        return f"{count:.0f} B"
    units = iter(_SIZES)
    unit, count = next(units), count / _KIBI
    while count >= _ROUND and (larger := next(units, None)):
        unit, count = larger, count / _KIBI
    return f"{count:.1f} {unit}"


def number(value: float | None) -> str:
    """A count, or so many a second: exact while it is small enough to be read."""
    if value is None:
        return NOTHING
    return f"{value:,.1f}" if isinstance(value, float) and value < 100 else f"{value:,.0f}"


def table(rows: Sequence[Sequence[str]], right: frozenset[str]) -> Iterator[str]:
    """Lines of a table; the first row has the titles, columns titled so go to the ``right``."""
    titles = rows[0]
    widths = [max(width(row[column]) for row in rows) for column in range(len(titles))]
    for row in rows:
        texts = [
            padded(cell, cells, right=title in right)
            for cell, cells, title in zip(row, widths, titles, strict=True)
        ]
        yield "  ".join(texts).rstrip()
