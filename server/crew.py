"""The workers of a server: start them, tell the acceptor about them, clean up after dead ones.

    start --> ready --> worker_up to the acceptor --> ... --> dead
                                                              | slots LIVE, CLOSING: freed at once,
                                                              | LIVE ones go to server.lost
                                                              | worker_down to the acceptor
                                                              v worker_gone: CLAIMED slots freed
                                              after restart.decide: start again, on the same row

A new worker's descriptor goes to the acceptor only after ``worker_gone`` of the old one, or the
claims made for the new one would be freed with the old one's. Lost sessions are dealt out to the
workers that are ready, for their on_disconnect, unless that ends one worker after another. The
supervisor owns the crew and hears of what happens through :class:`Listener`.
"""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from server import children
from server.children import Child
from server.loop import Loop, Timer
from server.lost import MOST_ENDS, LostSessions
from server.restart import Decision, History, decide
from shm import channel
from shm.channel import ChannelClosedError
from shm.launch import ExitCode, WorkerOrder
from shm.segment import Segment
from shm.sessions import SessionTable
from shm.states import SlotState, WorkerState

SERVED: Final = frozenset({SlotState.LIVE, SlotState.CLOSING})
CLAIMED: Final = frozenset({SlotState.CLAIMED})
SWEEP_PERIOD: Final = 1.0
"""Seconds between two looks for claims that a dead acceptor left."""
DEAL_PERIOD: Final = 0.02
"""Seconds between two looks whether a worker has begun all lost sessions it was given."""
QUIET_LOOKS: Final = 2
"""Looks in a row that must find a worker's intake read to the end."""

OrderFor = Callable[[int, socket.socket, socket.socket], WorkerOrder]
"""Makes a worker's order from its index, control channel and intake."""


class Listener(Protocol):
    """Who hears of the crew: the supervisor."""

    def worker_ready(self, index: int) -> None:
        """A worker can take sessions."""

    def worker_failed(self, index: int, reason: str) -> None:
        """A worker says why it cannot serve; its end follows."""

    def worker_ended(self, index: int, was_ready: bool, code: int | None) -> bool:
        """A worker's process has ended; whether another one is to be started."""

    def tell_acceptor(self, message: dict[str, Any], fds: Iterable[int] = ()) -> bool:
        """Send to the acceptor; False when there is none."""


@dataclass
class _Post:
    """One row of the segment and who serves there."""

    index: int
    child: Child | None = None
    intake: socket.socket | None = None
    history: History = field(default_factory=History)
    deaths: int = 0
    """Processes of this row that have ended."""
    leaving: bool = False
    """The acceptor has been told that the worker is down and has not confirmed."""
    timer: Timer | None = None


class Crew:
    """All workers."""

    def __init__(
        self,
        loop: Loop,
        segment: Segment,
        table: SessionTable,
        log: Any,
        listener: Listener,
        module: str,
        order_for: OrderFor,
    ) -> None:
        self._loop = loop
        self._segment = segment
        self._table = table
        self._log = log
        self._listener = listener
        self._module = module
        self._order_for = order_for
        self._posts = [_Post(index) for index in range(segment.header.workers)]
        self._lost = LostSessions()
        self._dealing = self._stopping = False

    def start(self, index: int) -> None:
        """Start the worker of one row; OSError when no process can be made."""
        post = self._posts[index]
        post.timer = None
        ours, theirs = channel.pair()
        try:
            post.child = children.start(
                f"worker-{index}",
                self._module,
                lambda control: self._order_for(index, control, theirs),
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        post.intake = ours
        row = self._segment.rows[index]
        row.restarts += 1 if row.started else 0
        row.started = time.time()
        row.pid = post.child.pid
        row.state = WorkerState.STARTING
        self._loop.watch(post.child, lambda: self._ended(post))
        self._loop.watch(post.child.control, lambda: self._hear(post))

    def all_ready(self) -> bool:
        """Whether every worker can take sessions."""
        return all(post.child is not None and post.child.ready for post in self._posts)

    def pids(self) -> dict[int, int]:
        """Process ids of the running workers by index."""
        return {post.index: post.child.pid for post in self._posts if post.child is not None}

    def children(self) -> Iterator[tuple[int, Child]]:
        """The running workers with their rows."""
        yield from ((post.index, post.child) for post in self._posts if post.child is not None)

    def record_cpu(self, permille: dict[int, int]) -> None:
        """Write CPU figures (thousandths of one core by index) where the acceptor finds them."""
        for index, value in permille.items():
            self._segment.rows[index].cpu_permille = value

    def introduce(self) -> None:
        """Tell a new acceptor about every worker that can take sessions."""
        for post in self._posts:
            self._introduce(post)

    def acceptor_ended(self) -> None:
        """Nobody else is going to claim for workers that are leaving; look for lost claims."""
        for post in self._posts:
            if post.leaving:
                self.worker_gone(post.index, post.deaths)
        newest = int(self._segment.header.last_id)
        for post in self._posts:
            if post.child is not None:
                self._sweep_later(post, post.child, newest, QUIET_LOOKS)

    def worker_gone(self, index: int, death: int) -> None:
        """The acceptor uses a dead worker no more: its claims can be freed.

        ``death`` is the number that ``worker_down`` had; only an answer to the last one counts.
        """
        post = self._posts[index]
        if not post.leaving or death != post.deaths:
            return
        self._reclaim(post, CLAIMED)
        post.leaving = False
        self._introduce(post)

    def tell(self, message: dict[str, Any]) -> None:
        """Send to every worker; one that does not read its channel is killed."""
        for child in [post.child for post in self._posts if post.child is not None]:
            try:
                child.control.send(message)
            except ChannelClosedError:
                # Its end follows.
                continue
            except BlockingIOError:
                self._log.error("a worker does not read its channel: killed", pid=child.pid)
                child.kill()

    def stop(self) -> None:
        """Ask all workers to end; none is started again."""
        self._stopping = True
        self._deal()
        for post in self._posts:
            if post.timer is not None:
                post.timer.cancel()
            if post.child is not None:
                self._segment.rows[post.index].state = WorkerState.STOPPING
                stop(post.child)

    def kill(self) -> None:
        """End all workers at once."""
        for post in self._posts:
            if post.child is not None:
                post.child.kill()

    def _hear(self, post: _Post) -> None:
        """Read what a worker says."""
        child = post.child
        assert child is not None
        try:
            while (received := child.control.receive()) is not None:
                message, _ = received
                if message["op"] == "ready":
                    child.sight = message.get("sight")
                    self._is_ready(post, child)
                elif message["op"] == "failed":
                    self._listener.worker_failed(post.index, message["error"])
        except ChannelClosedError:
            self._loop.unwatch(child.control)

    def _is_ready(self, post: _Post, child: Child) -> None:
        child.ready = True
        row = self._segment.rows[post.index]
        if row.state == WorkerState.STARTING:
            row.state = WorkerState.READY
        self._introduce(post)
        self._deal()
        self._listener.worker_ready(post.index)

    def _introduce(self, post: _Post) -> None:
        child, intake = post.child, post.intake
        if child is not None and child.ready and intake is not None and not post.leaving:
            message = {"op": "worker_up", "index": post.index}
            self._listener.tell_acceptor(message, [intake.fileno()])

    def _ended(self, post: _Post) -> None:
        """A worker's process is no more."""
        self._hear(post)
        child, intake = post.child, post.intake
        assert child is not None
        assert intake is not None
        code = child.exit_code()
        self._loop.unwatch(child)
        self._loop.unwatch(child.control)
        child.close()
        intake.close()
        post.child = post.intake = None
        row = self._segment.rows[post.index]
        row.pid = row.cpu_permille = 0
        row.state = WorkerState.DEAD
        freed = self._reclaim(post, SERVED)
        alone = child.hung or by_itself(code)
        self._take_back(post, alone and row.stopped_pid != child.pid)
        self._deal()
        # It may have changed the catalog and told nobody yet.
        self._segment.renew_catalog()
        post.deaths += 1
        post.leaving = self._listener.tell_acceptor(
            {"op": "worker_down", "index": post.index, "death": post.deaths}
        )
        if not post.leaving:
            freed += self._reclaim(post, CLAIMED)
        if self._listener.worker_ended(post.index, child.ready, code):
            self._start_again(post, child.ready, code, freed)

    def _start_again(self, post: _Post, was_ready: bool, code: int | None, freed: int) -> None:
        post.history, decision = after_end(post.history, was_ready, code)
        say = self._log.info if orderly(was_ready, code) else self._log.error
        say(
            "worker ended",
            worker=post.index,
            reason=describe(code),
            sessions=freed,
            **told(decision),
        )
        post.timer = self._loop.after(decision.delay, lambda: self._restart(post))

    def _restart(self, post: _Post) -> None:
        try:
            self.start(post.index)
        except OSError as error:
            post.history = post.history.with_death(time.monotonic())
            decision = decide(post.history, was_ready=False)
            self._log.error(
                "worker cannot be started", worker=post.index, reason=str(error), **told(decision)
            )
            post.timer = self._loop.after(decision.delay, lambda: self._restart(post))

    def _reclaim(self, post: _Post, wanted: frozenset[SlotState]) -> int:
        found = self._table.reclaim(post.index, wanted)
        control = self._segment.header.control_listener
        self._lost.add(session for session in found.lost if session.listener != control)
        return len(found.ids)

    def _take_back(self, post: _Post, by_itself: bool) -> None:
        """Let the lost sessions that a dead worker has not begun wait again, or give them up."""
        self._look()
        row = self._segment.rows[post.index]
        begun, running = int(row.lost_begun), int(row.lost_running)
        given_up = self._lost.ended(post.index, begun, running, by_itself=by_itself)
        if given_up:
            self._log.error(
                f"on_disconnect ended {MOST_ENDS} workers: not run for {given_up} lost sessions"
            )

    def _look(self) -> None:
        """See how far all workers are with lost sessions."""
        for post in self._posts:
            row = self._segment.rows[post.index]
            # In this order: what has begun is running, unless it is over.
            begun = int(row.lost_begun)
            self._lost.look(post.index, begun, int(row.lost_running))

    def _deal(self) -> None:
        """Give lost sessions to the workers that can take them, and look again while some wait."""
        self._look()
        takers = [(post, post.child) for post in self._posts if post.child and post.child.ready]
        for post, child in takers:
            self._deal_to(post, child)
        left = self._lost.waiting()
        if left and not self._dealing and takers:
            self._dealing = True
            self._loop.after(DEAL_PERIOD, self._deal_again)
        elif left and self._stopping and not self.pids():
            self._log.warning("sessions ended without on_disconnect: no worker left", sessions=left)
            self._lost = LostSessions()

    def _deal_again(self) -> None:
        self._dealing = False
        self._deal()

    def _deal_to(self, post: _Post, child: Child) -> None:
        """A worker that stops gets all its channel takes: it may be gone at the next look."""
        begun = int(self._segment.rows[post.index].lost_begun)
        while (batch := self._lost.deal(post.index, begun, more=self._stopping)) is not None:
            try:
                child.control.send(batch)
            except (BlockingIOError, ChannelClosedError):
                self._lost.not_sent(post.index, len(batch["sessions"]))
                return

    def _sweep_later(self, post: _Post, child: Child, newest: int, looks: int) -> None:
        self._loop.after(SWEEP_PERIOD, lambda: self._sweep(post, child, newest, looks))

    def _sweep(self, post: _Post, child: Child, newest: int, looks: int) -> None:
        """Free claims up to the id ``newest`` whose connections died with their acceptor.

        A claim whose connection did reach the worker turns LIVE as soon as the worker reads its
        intake. So what is still claimed after the intake was seen read to the end, twice with a
        period between, belongs to nobody.
        """
        if post.child is not child or post.intake is None:
            return
        looks = looks - 1 if channel.unread(post.intake) == 0 else QUIET_LOOKS
        if looks > 0:
            self._sweep_later(post, child, newest, looks)
            return
        freed = self._table.reclaim(post.index, CLAIMED, newest).ids
        if freed:
            self._log.warning("freed claims of a dead acceptor", sessions=len(freed))


def stop(child: Child) -> None:
    """Ask a child to end: by its channel, or by a signal when it does not listen yet."""
    try:
        child.control.send({"op": "stop"})
    except (ChannelClosedError, BlockingIOError):
        child.terminate()
    if not child.ready:
        child.terminate()


def orderly(was_ready: bool, code: int | None) -> bool:
    """Whether a child ended as somebody else asked it to, by SIGTERM."""
    return was_ready and code == ExitCode.STOPPED


def by_itself(code: int | None) -> bool:
    """Whether nobody outside ended a child, as far as its exit code tells."""
    return code is not None and code not in (-signal.SIGKILL, -signal.SIGTERM)


def after_end(history: History, was_ready: bool, code: int | None) -> tuple[History, Decision]:
    """What a child's end means for its history, and when it is started again."""
    if orderly(was_ready, code):
        return history, decide(History(), was_ready)
    history = history.with_death(time.monotonic())
    return history, decide(history, was_ready)


def describe(code: int | None) -> str:
    """An exit code in words."""
    if code is None:
        return "exit code unknown"
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"


def told(decision: Decision) -> dict[str, Any]:
    """A decision as fields of a log line."""
    fields: dict[str, Any] = {"restart_in": f"{decision.delay:g}s"}
    return {**fields, "cause": "it dies again and again"} if decision.storm else fields
