"""A frame as lines of text: for ``beespace top --once``, and where there is no terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from server.harmless import padded, width
from server.top.frame import Frame, Grid


def lines(frame: Frame) -> Iterator[str]:
    """The whole frame."""
    yield from frame.head
    yield ""
    yield from _grid(frame.workers)
    yield ""
    yield from _grid(frame.sessions)


def _grid(grid: Grid) -> Iterator[str]:
    rows = [grid.columns, *grid.rows]
    widths = [max(width(row[at]) for row in rows) for at in range(len(grid.columns))]
    for row in rows:
        texts = [
            padded(cell, cells, right=title not in grid.left)
            for cell, cells, title in zip(row, widths, grid.columns, strict=True)
        ]
        yield "  ".join(texts).rstrip()
