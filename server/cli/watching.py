"""``beespace top``: looks at a running server again and again, on a screen or once as text.

It reads the server's segment and the system's figures, so it works on a server that hangs; see
:mod:`server.onlooker`. What is shown: :mod:`server.top`. Both are imported when they are needed,
since every command waits for this file.
"""

from __future__ import annotations

import shlex
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from server.cli import asking
from server.cli.asking import Conversation
from server.cli.operation import Name, RunDir
from server.errors import ExitStatus, ServerError
from server.top.view import SORTS, View
from shm.filters import Filter, FilterError

if TYPE_CHECKING:
    from server.onlooker import Onlooker
    from server.snapshot import Snapshot

KILL_SECONDS: Final = 10.0
"""How long a server may take to end one session."""
ONCE_SESSIONS: Final = 20
"""Sessions that a text shows unless more are wanted."""


class Watched:
    """A server for the screen: seen by its segment, told by its supervisor."""

    def __init__(self, place: Path, onlooker: Onlooker) -> None:
        self._place = place
        self._onlooker = onlooker

    def look(self, wanted: Filter) -> Snapshot:
        """The server now; ServerError when it is gone."""
        return self._onlooker.snapshot(sessions=wanted)

    def kill(self, session: int) -> str:
        """Let a session end; ServerError when the supervisor does not answer or refuses."""
        with Conversation(self._place) as server:
            answer = server.ask("kill", {"ids": [session]}, patience=KILL_SECONDS)
        return (
            f"session {session} killed" if answer["killed"] else f"session {session} is not there"
        )


def top(
    conditions: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=VALUE]...",
            help="Which sessions: user=ada not_type=console idle_gt=60 peer=10.0.0.0/8 ...",
        ),
    ] = None,
    run_dir: RunDir = None,
    name: Name = None,
    sort: Annotated[
        str, typer.Option(metavar="FIELD", help=f"Of {', '.join(SORTS)}; with - before it: down.")
    ] = "-requests",
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Sessions that are listed at most.")
    ] = None,
    interval: Annotated[
        float, typer.Option(min=0.2, max=60, metavar="SECONDS", help="Between two looks.")
    ] = 1.0,
    once: Annotated[
        bool, typer.Option("--once", help="Print one picture as text and leave.")
    ] = False,
) -> None:
    """Watch a server live. Without a terminal, one picture as text. Exit code 3: none runs."""
    from server.onlooker import Onlooker

    view = _view(conditions or [], sort)
    place = asking.folder(run_dir, name)
    asking.end_by_signals()
    with Onlooker(place) as onlooker:
        watched = Watched(place, onlooker)
        if once or not (sys.stdin.isatty() and sys.stdout.isatty()):
            _print(watched, replace(view, limit=limit or ONCE_SESSIONS), interval)
            return
        from server.top.screen import Top

        ended = Top(watched, replace(view, limit=limit or view.limit), interval).run()
    if ended is not None:
        raise ServerError(ended, exit_code=ExitStatus.NOT_RUNNING)


def _view(conditions: list[str], sort: str) -> View:
    """ServerError with exit code SETTINGS when it cannot be read."""
    try:
        made = View().narrowed(shlex.join(conditions))
        made = replace(made, sort=sort.removeprefix("-"), descending=sort.startswith("-"))
        made.filter  # noqa: B018 - raises
    except FilterError as error:
        if error.key == "order":
            error = FilterError("--sort", error.given, error.expected)
        raise ServerError(str(error), exit_code=ExitStatus.SETTINGS) from None
    return made


def _print(watched: Watched, view: View, interval: float) -> None:
    from server.top import plain
    from server.top.frame import frame

    before = watched.look(view.filter)
    time.sleep(interval)
    for line in plain.lines(frame(before, watched.look(view.filter))):
        print(line)
