"""The live screen: what it shows of frames, and what its keys do, in a terminal that is none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable, Input, Static

from server.errors import ServerError
from server.snapshot import Snapshot
from server.top.screen import SLOWEST, Confirm, Top
from server.top.view import View
from shm.filters import Filter
from tests.server.top import made


class Made:
    """A server that has been looked at already."""

    def __init__(self) -> None:
        self.wanted: list[Filter] = []
        self.killed: list[int] = []
        self.refusal: str | None = None
        self.gone = False

    def look(self, wanted: Filter) -> Snapshot:
        """The second moment follows the first."""
        if self.gone:
            raise ServerError("no server runs there")
        self.wanted.append(wanted)
        return made.before() if len(self.wanted) == 1 else made.after()

    def kill(self, session: int) -> str:
        """As the supervisor would."""
        if self.refusal is not None:
            raise ServerError(self.refusal)
        self.killed.append(session)
        return f"session {session} killed"


def drive(watch: Made, steps: Callable[[Pilot[Any], Top], Awaitable[None]]) -> Any:
    """Let somebody use the screen, whose clock stands still; its result."""

    async def run() -> Any:
        app = Top(watch, View(), SLOWEST)
        async with app.run_test(size=(160, 40)) as pilot:
            await steps(pilot, app)
        return app.return_value

    return asyncio.run(run())


def state(app: Top) -> str:
    return str(app.query_one("#state", Static).content)


def column(app: Top, name: str, at: int) -> list[str]:
    table = app.query_one(name, DataTable)
    return [str(table.get_row_at(row)[at]) for row in range(table.row_count)]


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
def test_it_is_left_by_a_key(key: str) -> None:
    async def steps(pilot: Pilot[Any], app: Top) -> None:
        await pilot.press(key)
        async with asyncio.timeout(20):
            while app.is_running:
                await pilot.pause(0.01)

    assert drive(Made(), steps) is None


class Hung(Made):
    """A server that is looked at each second, whose workers do not turn their loops."""

    def look(self, wanted: Filter) -> Snapshot:
        """The same, a second later."""
        self.wanted.append(wanted)
        return replace(made.after(), monotonic=float(len(self.wanted)))


def test_a_worker_that_hangs_shows_whatever_the_interval() -> None:
    async def steps(pilot: Pilot[Any], app: Top) -> None:
        seen = []
        for _ in range(5):
            seen.append(column(app, "#workers", 2)[0])
            app.refresh_now()
            await pilot.pause()
        assert seen == ["ready"] * 3 + ["ready, stands still"] * 2

    drive(Hung(), steps)


def test_it_shows_the_frame() -> None:
    watch = Made()

    async def steps(pilot: Pilot[Any], app: Top) -> None:
        assert column(app, "#sessions", 0) == ["1", "2"]
        app.refresh_now()
        await pilot.pause()
        assert "requests/s 2.00k" in str(app.query_one("#head", Static).content)
        assert column(app, "#workers", 2)[1] == "dead, dies again and again"
        assert column(app, "#sessions", 0) == ["1", "2", "3"]
        assert state(app).startswith("sessions by requests (down)   each 60 s")

    drive(watch, steps)


def test_keys_change_the_order() -> None:
    watch = Made()

    async def steps(pilot: Pilot[Any], app: Top) -> None:
        await pilot.press("greater_than_sign", "r")
        assert state(app).startswith("sessions by in_flight (up)")
        await pilot.press("less_than_sign")
        assert state(app).startswith("sessions by requests (up)")

    drive(watch, steps)
    orders = [(wanted.order, wanted.descending) for wanted in watch.wanted]
    assert orders == [
        ("requests", True),
        ("in_flight", True),
        ("in_flight", False),
        ("requests", False),
    ]


def test_a_filter_is_typed_and_mended() -> None:
    watch = Made()

    async def steps(pilot: Pilot[Any], app: Top) -> None:
        await pilot.press("slash", *"user=ada idle", "enter")
        assert "got 'idle', expected key=value" in state(app)
        assert app.query_one("#filter", Input).display
        await pilot.press(*"_gt=5", "enter")
        assert "filter: user=ada idle_gt=5" in state(app)
        assert not app.query_one("#filter", Input).display

    drive(watch, steps)
    assert [each.key for each in watch.wanted[-1].conditions] == ["user", "idle_gt"]


def test_escape_leaves_the_filter_as_it_was() -> None:
    watch = Made()

    async def steps(pilot: Pilot[Any], app: Top) -> None:
        await pilot.press("slash", *"user=ada", "escape")
        assert not app.query_one("#filter", Input).display
        assert "filter" not in state(app)

    drive(watch, steps)
    assert len(watch.wanted) == 1


def test_killing_asks_first() -> None:
    watch = Made()

    async def steps(pilot: Pilot[Any], app: Top) -> None:
        await pilot.press("down", "k")
        assert isinstance(app.screen, Confirm)
        await pilot.press("n")
        assert watch.killed == []
        await pilot.press("k", "y")
        await pilot.pause()
        assert watch.killed == [2]
        assert state(app).endswith("session 2 killed")

    drive(watch, steps)


def test_a_refusal_is_shown() -> None:
    watch = Made()
    watch.refusal = "the server does not answer"

    async def steps(pilot: Pilot[Any], app: Top) -> None:
        await pilot.press("k", "y")
        await pilot.pause()
        assert state(app).endswith("the server does not answer")

    drive(watch, steps)


def test_the_cursor_stays_with_its_session() -> None:
    watch = Made()

    async def steps(pilot: Pilot[Any], app: Top) -> None:
        app.refresh_now()
        await pilot.press("down", "down", "r")
        await pilot.pause()
        table = app.query_one("#sessions", DataTable)
        assert str(table.get_row_at(table.cursor_row)[0]) == "3"

    drive(watch, steps)


def test_a_pause_and_the_pace() -> None:
    watch = Made()

    async def steps(pilot: Pilot[Any], app: Top) -> None:
        await pilot.press("p")
        assert "paused" in state(app)
        app.tick()
        assert len(watch.wanted) == 1
        await pilot.press("p", "plus")
        assert "each 30 s" in state(app)
        app.tick()
        assert len(watch.wanted) == 2

    drive(watch, steps)


def test_it_ends_with_its_server_and_says_so() -> None:
    watch = Made()

    async def steps(pilot: Pilot[Any], app: Top) -> None:
        watch.gone = True
        app.refresh_now()
        await pilot.pause()

    assert drive(watch, steps) == "no server runs there"


@pytest.mark.parametrize("key", ["q"])
def test_it_is_left(key: str) -> None:
    async def steps(pilot: Pilot[Any], _: Top) -> None:
        await pilot.press(key)

    assert drive(Made(), steps) is None
