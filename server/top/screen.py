"""The live screen of ``beespace top``: frames on a terminal, and what its keys do.

    Watch.look(filter) --> Snapshot, each interval --> server.top.frame --> tables
    k, then y          --> Watch.kill(id)          --> the server's supervisor

:mod:`server.cli.watching` makes the watch. A server that hangs is looked at like any other; only
killing needs its supervisor.
"""

from __future__ import annotations

from collections import deque
from typing import ClassVar, Final, Protocol

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import DataTable, Footer, Input, Label, Sparkline, Static

from server.errors import ServerError
from server.snapshot import Snapshot
from server.top.frame import SILENCE, Frame, Grid, frame
from server.top.view import View
from shm.filters import Filter, FilterError

KEPT: Final = 120
"""Rates that the sparkline has room for."""
FASTEST: Final = 0.2
SLOWEST: Final = 60.0
"""Seconds between two looks."""


class Watch(Protocol):
    """A server that is looked at."""

    def look(self, wanted: Filter) -> Snapshot:
        """The server now; ServerError when it is gone."""

    def kill(self, session: int) -> str:
        """Let a session end; what came of it. ServerError when that is refused."""


class Confirm(ModalScreen[bool]):
    """Yes or no."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "yes"),
        Binding("n,escape", "answer(False)", "no"),
    ]
    CSS = """
    Confirm { align: center middle; }
    Confirm > Label { padding: 1 3; border: thick $warning; background: $surface; }
    """

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """The question."""
        yield Label(f"{self._question}   y / n", markup=False)

    def action_answer(self, yes: bool) -> None:
        """Told by a key."""
        self.dismiss(yes)


class Top(App[str | None]):
    """The screen; its result is the reason why it ended by itself, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "quit"),
        Binding("ctrl+c", "quit", "quit", show=False, priority=True),
        Binding("less_than_sign", "sort(-1)", "sort", key_display="<"),
        Binding("greater_than_sign", "sort(1)", "sort", key_display=">"),
        Binding("r", "turn", "reverse"),
        Binding("slash", "filter", "filter", key_display="/"),
        Binding("k", "kill", "kill"),
        Binding("p", "pause", "pause"),
        Binding("plus", "pace(0.5)", "faster", key_display="+"),
        Binding("minus", "pace(2.0)", "slower", key_display="-"),
    ]
    CSS = """
    #head { height: 3; }
    Sparkline { height: 2; margin: 0 0 1 0; }
    #workers { height: auto; max-height: 12; margin: 0 0 1 0; }
    #sessions { height: 1fr; }
    #filter { display: none; }
    #state { height: 1; color: $text-muted; }
    """
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, watch: Watch, view: View, interval: float) -> None:
        super().__init__()
        self._watch = watch
        self._view = view
        self._interval = interval
        self._before: Snapshot | None = None
        self._now: Snapshot | None = None
        self._looks: deque[Snapshot] = deque()
        self._rates: deque[float] = deque([0.0], maxlen=KEPT)
        self._paused = False
        self._said = ""

    def compose(self) -> ComposeResult:
        """Head, sparkline, workers, sessions, one line of state."""
        with Vertical():
            yield Static(id="head", markup=False)
            yield Sparkline(id="rate")
            yield DataTable(id="workers", cursor_type="none", zebra_stripes=True)
            yield DataTable(id="sessions", cursor_type="row", zebra_stripes=True)
            yield Input(id="filter", placeholder="user=ada not_type=console idle_gt=60")
            yield Static(id="state", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        """The first look, and one each interval from now on."""
        self.query_one("#sessions", DataTable).focus()
        self.refresh_now()
        self._timer = self.set_interval(self._interval, self.tick)

    def refresh_now(self) -> None:
        """Look, and show what has changed since the look before."""
        try:
            now = self._watch.look(self._view.filter)
        except ServerError as error:
            self.exit("; ".join(error.lines))
            return
        self._before, self._now = self._now, now
        shown = frame(self._before, now, self._mark(now))
        if self._before is not None:
            self._rates.append(shown.requests)
        self._show(shown)

    def _mark(self, now: Snapshot) -> Snapshot:
        """The last look that is far enough back, or the first one."""
        looks = self._looks
        looks.append(now)
        while len(looks) > 1 and now.monotonic - looks[1].monotonic >= SILENCE:
            looks.popleft()
        return looks[0]

    def tick(self) -> None:
        """The time of the next look has come."""
        if not self._paused:
            self.refresh_now()

    def _show(self, shown: Frame) -> None:
        self.query_one("#head", Static).update("\n".join(shown.head))
        self.query_one("#rate", Sparkline).data = list(self._rates)
        _fill(self.query_one("#workers", DataTable), shown.workers)
        _fill(self.query_one("#sessions", DataTable), shown.sessions)
        self._tell()

    def _tell(self) -> None:
        view = self._view
        parts = [
            f"sessions by {view.sort}{' (down)' if view.descending else ' (up)'}",
            f"each {self._interval:g} s" if not self._paused else "paused",
        ]
        parts += [f"filter: {view.words}"] if view.conditions else []
        parts += [self._said] if self._said else []
        self.query_one("#state", Static).update("   ".join(parts))

    def _say(self, text: str) -> None:
        self._said = text
        self._tell()

    def action_sort(self, step: int) -> None:
        """Another field."""
        self._look_by(self._view.moved(step))

    def action_turn(self) -> None:
        """The other way round."""
        self._look_by(self._view.turned())

    def action_pause(self) -> None:
        """Stand still, or go on."""
        self._paused = not self._paused
        self._tell()

    def action_pace(self, factor: float) -> None:
        """Look more often, or less."""
        self._interval = min(max(self._interval * factor, FASTEST), SLOWEST)
        self._timer.stop()
        self._timer = self.set_interval(self._interval, self.tick)
        self._tell()

    def action_filter(self) -> None:
        """Type conditions."""
        field = self.query_one("#filter", Input)
        field.display = True
        field.value = self._view.words
        field.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The conditions have been typed."""
        try:
            view = self._view.narrowed(event.value)
        except FilterError as error:
            self._say(str(error))
            return
        self._close_filter()
        self._look_by(view)

    def key_escape(self) -> None:
        """Leave the filter as it was."""
        self._close_filter()

    def action_kill(self) -> None:
        """Ask, and then end the session under the cursor."""
        table = self.query_one("#sessions", DataTable)
        if not table.row_count:
            return
        key = table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value
        session = int(key or 0)

        def answered(yes: bool | None) -> None:
            if yes:
                self._kill(session)

        self.push_screen(Confirm(f"Kill session {session}?"), answered)

    def _kill(self, session: int) -> None:
        try:
            said = self._watch.kill(session)
        except ServerError as error:
            said = "; ".join(error.lines)
        self._say(said)
        self.refresh_now()

    def _look_by(self, view: View) -> None:
        self._view, self._said = view, ""
        self.refresh_now()

    def _close_filter(self) -> None:
        field = self.query_one("#filter", Input)
        field.display = False
        self.query_one("#sessions", DataTable).focus()


def _fill(table: DataTable[Text], grid: Grid) -> None:
    """Show a grid; the cursor stays on the row with its key, or where it was."""
    at = table.cursor_coordinate
    key = table.coordinate_to_cell_key(at).row_key.value if table.row_count else None
    place = table.scroll_offset
    table.clear(columns=not table.columns)
    if not table.columns:
        for title in grid.columns:
            table.add_column(_cell(title, title in grid.left), key=title)
    for number, row in zip(grid.keys, grid.rows, strict=True):
        cells = [
            _cell(text, title in grid.left) for text, title in zip(row, grid.columns, strict=True)
        ]
        table.add_row(*cells, key=str(number))
    names = [str(number) for number in grid.keys]
    last = max(len(names) - 1, 0)
    line = names.index(key) if key is not None and key in names else min(at.row, last)
    table.move_cursor(row=line, column=0, animate=False, scroll=False)
    table.scroll_to(place.x, place.y, animate=False)


def _cell(text: str, left: bool) -> Text:
    return Text(text, justify="left" if left else "right", no_wrap=True)
