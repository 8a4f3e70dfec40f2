"""A worker process: the Python shell around LuaJIT.

The supervisor starts it through :func:`shm.launch.run`; :func:`main` maps the segment, makes the
Lua runtime, runs the application, warms up, says it is ready, and gives the main thread to the Lua
loop until it shall stop. From then on Python runs only when Lua asks: for the services of
:mod:`workers.bridge` and :mod:`workers.catalog`, and for signals and the supervisor's messages
(:class:`Attention`); beside it :mod:`workers.watchdog` looks for code that runs too long, and for
orders that the loop does not get to.
"""

from __future__ import annotations

import contextlib
import functools
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import astuple
from pathlib import Path
from types import FrameType
from typing import Any, Final

import msgpack
import setproctitle

from shm import layout, logs
from shm.catalog.passwords import Rules
from shm.channel import Channel, ChannelClosedError
from shm.launch import ExitCode, WorkerOrder
from shm.segment import Segment, SegmentError
from shm.sessions import SessionTable
from workers import bridge, watchdog
from workers.catalog import Catalog
from workers.enforcer import Enforcer
from workers.press import Press
from workers.runtime import LuaFailureError, Runtime
from workers.slow import Places as SlowPlaces
from workers.slow import Slow

LONGEST_REASON: Final = 10_000
"""Characters of an error that the supervisor is told; all of them fit into one message."""


class Attention:
    """Signals and messages of the supervisor as data for the loop.

    A signal's handler only records; its wake-up byte and the control channel are descriptors in
    the loop's poll set, and the loop then calls :meth:`attend`.
    """

    def __init__(self, control: Channel) -> None:
        self._control = control
        self._stop = self._drain = False
        self._lost: list[tuple[int, list[Any]]] = []
        self._settings: dict[str, Any] = {}
        self.changed: Callable[[Mapping[str, Any]], None] = _ignore
        """Called with settings that have changed, before Lua gets them."""
        self.wakeup, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGTERM, self._record)
        for ignored in (signal.SIGINT, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_IGN)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def attend(self) -> tuple[bytes, bytes | None, bytes | None]:
        """Read what has come: ``end`` at once, ``drain`` and end in good order, or nothing.

        With it lost sessions as MessagePack, see workers/lua/engine/lost.lua, None without any; and
        the same for settings that have changed, see engine/live.lua.
        """
        with contextlib.suppress(BlockingIOError):
            os.read(self.wakeup, 4096)
        try:
            while (received := self._control.receive()) is not None:
                message, _ = received
                self._drain = self._drain or message["op"] == "stop"
                if message["op"] == "lost":
                    self._lost.append((message["first"], message["sessions"]))
                elif message["op"] == "settings":
                    self._settings |= message["values"]
                elif message["op"] == "reopen_logs":
                    logs.reopen()
        except ChannelClosedError:
            self._stop = True
        lost, self._lost = self._lost, []
        settings, self._settings = self._settings, {}
        if settings:
            self.changed(settings)
        asked = b"end" if self._stop else b"drain" if self._drain else b""
        # Addresses as strings, which is what the codec makes of Lua's.
        return asked, _packed(lost), _packed(settings)

    def adjust(self, key: str, value: Any) -> None:
        """Ask the supervisor to give a setting another value, in all processes."""
        with contextlib.suppress(ChannelClosedError, BlockingIOError):
            self._control.send({"op": "adjust", "values": {key: value}})

    def _record(self, _number: int, _frame: FrameType | None) -> None:
        self._stop = True


def _ignore(_: Mapping[str, Any]) -> None:
    """Nobody has to know."""


def _packed(values: Any) -> bytes | None:
    return bytes(msgpack.packb(values, use_bin_type=False)) if values else None


def main(order: WorkerOrder) -> None:
    """Be the worker of this order until told to stop; ends the process with an ExitCode."""
    role = f"worker-{order.number}"
    logs.configure(order.log, role)
    setproctitle.setproctitle(f"beespace: {role} {order.name}")
    if order.settings.get("scheduling") == "batch":
        _run_in_batches()
    control = Channel(order.control)
    attention = Attention(control)
    try:
        segment = Segment.attach(order.segment)
        bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        engine = _boot(order, segment, attention, bell)
    except (LuaFailureError, SegmentError, OSError) as error:
        _tell(control, {"op": "failed", "error": str(error)[:LONGEST_REASON]})
        sys.exit(ExitCode.CANNOT_BOOT)
    guard = engine.guarded(segment, order.index, bell)
    _tell(control, {"op": "ready", "sight": list(astuple(guard.places.sight))})
    try:
        with guard:
            engine.serve()
    except LuaFailureError as error:
        logs.get().critical("the worker's loop failed", error=str(error))
        sys.exit(ExitCode.CRASHED)
    # An application may call os.exit(0): the exit code alone does not tell.
    segment.rows[order.index].stopped_pid = os.getpid()
    sys.exit(ExitCode.STOPPED)


def _run_in_batches() -> None:
    """Let a wake-up of this process wait until the running one gives way (SCHED_BATCH).

    A worker on a CPU of its own does not notice. Where workers and clients share CPUs, a worker
    that does not interrupt a client finds more to do when it runs: measured with two workers and
    the load generator on two CPUs, 29 % more pipelined requests, 69 % more single ones.
    """
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _tell(control: Channel, message: dict[str, Any]) -> None:
    """Send to the supervisor; without one this process ends."""
    try:
        control.send(message)
    except ChannelClosedError:
        sys.exit(ExitCode.STOPPED)


class _Engine:
    """The wired Lua side, see workers/lua/engine/main.lua, and the watchdog beside it."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._main = runtime.require("beespace.engine.main")
        self._watchdog: watchdog.Watchdog | None = None
        self.limits = watchdog.Limits()
        self.slow = 0.0

    def call(self, name: bytes, *arguments: Any) -> Any:
        return self._runtime.call(self._main[name], *arguments)

    def limit(self, limits: watchdog.Limits) -> None:
        """Let no code take more than this."""
        self.limits = limits
        if self._watchdog is not None:
            self._watchdog.limit(limits)

    def guarded(self, segment: Segment, row: int, bell: int) -> watchdog.Watchdog:
        """While it lasts, the limits hold, and orders are carried out; ``bell`` is an eventfd."""
        library = self._runtime.library
        places = watchdog.Places(*map(int, self.call(b"guard", library.encode())))
        lua = watchdog.LuaJit(library, places)
        ring = functools.partial(os.eventfd_write, bell, 1)
        enforcer = Enforcer(segment, row, places.sight, ring)
        slow = Slow(segment, places.sight, SlowPlaces(*map(int, self.call(b"slow"))))
        self._watchdog = watchdog.Watchdog(
            lua, places, self.limits, SessionTable(segment), enforcer, slow=slow
        )
        self.watch_for_slow(self.slow)
        return self._watchdog

    def watch_for_slow(self, seconds: float) -> None:
        """Requests that take so long are slow; 0: none is."""
        self.slow = seconds
        if self._watchdog is not None and self._watchdog.slow is not None:
            self._watchdog.slow.limit = seconds

    def serve(self) -> None:
        self.call(b"serve")


def _boot(order: WorkerOrder, segment: Segment, attention: Attention, bell: int) -> _Engine:
    context = bridge.Context(
        version=order.version,
        role=f"worker-{order.number}",
        log=order.log,
        adjust=attention.adjust,
    )
    press = Press()
    catalog = _catalog(order, segment)
    services = {**bridge.make_services(context), "attend": attention.attend}
    services |= bridge.guarded({**press.services(), **(catalog.services() if catalog else {})})
    runtime = Runtime(services)
    engine = _Engine(runtime)
    settings = _settings(order, segment, attention, press) | {"orders_fd": bell}
    engine.call(b"prepare", runtime.table(settings))
    take = _taker(context, engine, catalog)
    take(order.settings)
    attention.changed = take
    runtime.seal()
    if order.app is not None:
        path = Path(order.app)
        runtime.set_application(path.parent)
        engine.call(b"load", str(path).encode(), path.read_bytes())
    engine.call(b"warm")
    return engine


def _catalog(order: WorkerOrder, segment: Segment) -> Catalog | None:
    if order.catalog is None:
        return None
    return Catalog(Path(order.catalog), segment.renew_catalog, Rules())


def _taker(
    context: bridge.Context, engine: _Engine, catalog: Catalog | None
) -> Callable[[Mapping[str, Any]], None]:
    """What takes the settings that are Python's business and may change, by dotted keys."""
    known: dict[str, Any] = {}

    def take(values: Mapping[str, Any]) -> None:
        known.update(values)
        log = context.log.changed(values)
        if log != context.log:
            context.log = log
            logs.configure(log, context.role)
        engine.limit(
            watchdog.Limits(known.get("limits.request_time", 0), known.get("lua.memory", 0))
        )
        engine.watch_for_slow(known.get("log.slow_request", 0.0))
        if catalog is not None:
            flat = {key.removeprefix("security."): value for key, value in known.items()}
            catalog.demand(Rules.of(flat))

    return take


def _settings(
    order: WorkerOrder, segment: Segment, attention: Attention, press: Press
) -> dict[str, Any]:
    facts = "".join(f"{record} {field} {offset}\n" for record, field, offset in layout.facts())
    reader, writers = order.bus
    return {
        **order.settings,
        "cdef": layout.cdef(),
        "facts": facts,
        "address": segment.address,
        "instance": bytes(segment.header.instance),
        "index": order.index,
        "count": order.count,
        "name": order.name,
        "version": order.version,
        "max_fds": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "intake_fd": order.intake.fileno(),
        "control_fd": order.control.fileno(),
        "wakeup_fd": attention.wakeup,
        "press_fd": press.fileno(),
        "bus_reader": reader.fileno(),
        "bus_writers": " ".join(str(writer.fileno()) for writer in writers),
    }
