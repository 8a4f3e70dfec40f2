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
    """Takes short lines; each replaces the one before, an empty one clears it.

    What is printed belongs behind an empty line: until the next one nothing moves.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    # What is printed meanwhile is none of its business: standard output may be a file.
    with Bar(
        *columns,
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    ) as bar:
        task = bar.add_task("")

        def tell(line: str) -> None:
            if line:
                bar.update(task, description=line)
                bar.start()
            else:
                bar.stop()

        yield tell
