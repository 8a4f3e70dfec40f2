"""A table of texts: aligned, plain or with lines and colours on a terminal, or as Markdown.

``bench.report`` and ``bench.suite`` make tables of their figures.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Final

GAP: Final = "  "


@dataclass(frozen=True)
class Table:
    """Texts in columns; the first ``left`` columns are aligned left, the others right."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int = 2
    notes: tuple[str, ...] = ()

    def plain(self) -> str:
        """As lines of text."""
        lines, widths = [self.columns, *self.rows], self._widths()
        texts = [GAP.join(map(self._align, line, widths, range(len(line)))) for line in lines]
        rule = "-" * len(GAP.join("-" * width for width in widths))
        body = [self.title, texts[0].rstrip(), rule, *(text.rstrip() for text in texts[1:])]
        return "\n".join([*body, *self.notes])

    def markdown(self) -> str:
        """For a README; texts with a bar in them are not expected."""
        sides = ["---" if index < self.left else "---:" for index in range(len(self.columns))]
        lines = [self.columns, sides, *self.rows]
        rows = [f"| {' | '.join(line)} |" for line in lines]
        return "\n".join([*rows, *([""] if self.notes else []), *self.notes])

    def show(self) -> None:
        """Print it, with lines and colours on a terminal that is wide enough for all figures."""
        from rich.console import Console
        from rich.table import Table as RichTable

        console = Console(markup=False, highlight=False)
        if not sys.stdout.isatty() or sum(self._widths()) + self._lines() > console.width:
            print(self.plain())
            return
        grid = RichTable(title=self.title, title_justify="left")
        for index, column in enumerate(self.columns):
            grid.add_column(column, justify="left" if index < self.left else "right")
        for row in self.rows:
            grid.add_row(*row)
        console.print(grid)
        for note in self.notes:
            console.print(note)

    def _widths(self) -> list[int]:
        lines = [self.columns, *self.rows]
        return [max(len(line[i]) for line in lines) for i in range(len(self.columns))]

    def _lines(self) -> int:
        """What the lines between columns and the space beside them take."""
        return 3 * len(self.columns) + 1

    def _align(self, text: str, width: int, index: int) -> str:
        return text.ljust(width) if index < self.left else text.rjust(width)
