"""What is being done now, and for how long: on a terminal one line that moves, elsewhere nothing.

``bench.cli`` shows it around a run of the suite.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bench.rounds import Progress


@contextmanager
def shown() -> Iterator[Progress]:
    """Takes short lines; each replaces the one before, an empty one clears it."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("")

        def tell(line: str) -> None:
            bar.update(task, description=line)

        yield tell
