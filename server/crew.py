"""The workers of a server: start them, tell the acceptor about them, clean up after dead ones.

    start --> ready --> worker_up to the acceptor --> ... --> dead
                                                              | slots LIVE, CLOSING: freed at once,
                                                              | LIVE ones go to server.lost
                                                              | worker_down to the acceptor
                                                              v worker_gone: CLAIMED slots freed
                                              after restart.decide: start again, on the same row

A change of the crew (:mod:`server.changeover`) hires new workers on free rows; nobody but it hears
of them until they take the places of the old ones, which then drain:

    hire --> ready --> relieve: worker_up          retire: worker_drains to the acceptor
               |                                     | worker_spared, and no session left
               v fails: the row is free again        v or workers.drain_timeout is over: stop

A new worker's descriptor goes to the acceptor only after ``worker_gone`` of the old one, or the
claims made for the new one would be freed with the old one's. Lost sessions are dealt out to the
workers that are ready, for their on_disconnect, unless that ends one worker after another. The
supervisor owns the crew and hears of what happens through :class:`server.post.Listener`.
"""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

from server import children, ends
from server.children import Child
from server.dealer import Dealer
from server.loop import Loop
from server.post import Listener, Post
from server.restart import Decision, History, Outlook
from server.spare import Spare
from server.sweeper import CLAIMED, Sweeper
from shm import history
from shm.channel import ChannelClosedError
from shm.launch import WorkerOrder
from shm.segment import Segment
from shm.sessions import SessionTable
from shm.states import SlotState, WorkerState

SERVED: Final = frozenset({SlotState.LIVE, SlotState.CLOSING})
DRAIN_PERIOD: Final = 0.1
"""Seconds between two looks whether a worker that drains has no session left."""

OrderFor = Callable[[Post, socket.socket, socket.socket], WorkerOrder]
"""Makes a worker's order from its post, control channel and intake."""


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
        spare: Spare,
        patience: Callable[[], float] = lambda: 4.0,
    ) -> None:
        self._loop = loop
        self._segment = segment
        self._table = table
        self._log = log
        self._listener = listener
        self._module = module
        self._order_for = order_for
        self._reserve = spare
        self.patience = patience
        """Seconds that a worker may take to stop before it is killed."""
        serving = int(segment.header.serving)
        self._posts = [
            Post(row, row, on_duty=row < serving) for row in range(segment.header.workers)
        ]
        self._dealer = Dealer(loop, segment, log, self._posts)
        self._sweeper = Sweeper(loop, table, log)

    def start(self, index: int) -> None:
        """Start the worker of one row; OSError when no process can be made."""
        post = self._posts[index]
        post.timer = None
        post.child, post.intake = children.start_worker(
            f"worker-{post.number}", self._module, partial(self._order_for, post), self._reserve
        )
        post.outlook = post.outlook.without_start()
        row = self._segment.rows[index]
        row.restarts += 1 if row.started else 0
        row.started = time.time()
        row.pid = post.child.pid
        row.state = WorkerState.STARTING
        row.storm = int(post.outlook.storm)
        post.spared = False
        self._loop.watch(post.child, lambda: self._ended(post))
        self._loop.watch(post.child.control, lambda: self._hear(post))

    def hire(self, number: int, generation: int) -> Post:
        """Start a new worker on a free row; OSError without one, or when no process can be made."""
        post = next((post for post in self._posts if post.free), None)
        if post is None:
            raise OSError(0, "no row is free")
        row = self._segment.rows[post.index]
        post.number = row.number = number
        post.generation = row.generation = generation
        row.started, row.restarts = 0, 0
        post.history, post.outlook = History(), Outlook()
        self.start(post.index)
        return post

    def free(self) -> int:
        """Rows that new workers may have."""
        return sum(post.free for post in self._posts)

    def posts(self) -> list[Post]:
        """Those that are filled, or are going to be: by their numbers, the oldest first."""
        filled = [post for post in self._posts if not post.free]
        return sorted(filled, key=lambda post: (post.number, post.generation))

    def serving(self) -> list[Post]:
        """Those on duty, by their numbers."""
        return sorted((post for post in self._posts if post.on_duty), key=lambda post: post.number)

    def relieve(self, new: Sequence[Post], old: Sequence[Post], timeout: float) -> None:
        """Let ``new`` serve, and ``old`` drain for ``timeout`` seconds at most; 0: for ever."""
        for post in new:
            self._set_duty(post, on_duty=True)
            self._introduce(post)
        for post in old:
            self._set_duty(post, on_duty=False)
            self._retire(post, timeout)
        self._segment.header.serving = len(self.serving())
        self._dealer.deal()

    def dismiss(self, post: Post) -> None:
        """End a new worker that is not going to serve."""
        if post.child is not None:
            post.child.kill()

    def worker_spared(self, index: int, death: int) -> None:
        """The acceptor gives a worker that drains nothing new any more; ``death`` as there."""
        post = self._posts[index]
        post.spared = post.spared or death == post.deaths

    def all_ready(self) -> bool:
        """Whether every worker can take sessions."""
        return all(post.child is not None and post.child.ready for post in self.serving())

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
            post.spared = post.spared or self._drains(post)
            if post.leaving:
                self.worker_gone(post.index, post.deaths)
        newest = int(self._segment.header.last_id)
        for post in self._posts:
            if post.child is not None:
                self._sweeper.sweep_later(post, post.child, newest)

    def worker_gone(self, index: int, death: int) -> None:
        """The acceptor uses a dead worker no more: its claims can be freed.

        ``death`` is the number that ``worker_down`` had; only an answer to the last one counts.
        """
        post = self._posts[index]
        if not post.leaving or death != post.deaths:
            return
        self._reclaim(post, CLAIMED)
        self._table.settle(index)
        post.leaving = False
        self._introduce(post)
        self._vacate(post)

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
        self._dealer.stopping = True
        self._dealer.deal()
        for post in self._posts:
            if post.timer is not None:
                post.timer.cancel()
                post.outlook = post.outlook.without_start()
            if post.child is not None:
                self._segment.rows[post.index].state = WorkerState.STOPPING
                ends.stop(post.child)

    def kill(self) -> None:
        """End all workers at once."""
        for post in self._posts:
            if post.child is not None:
                post.child.kill()

    def _hear(self, post: Post) -> None:
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
                    self._listener.worker_failed(post, message["error"])
                elif message["op"] == "adjust":
                    self._listener.worker_adjusts(post, message["values"])
        except ChannelClosedError:
            self._loop.unwatch(child.control)

    def _is_ready(self, post: Post, child: Child) -> None:
        child.ready = True
        post.outlook = post.outlook.is_ready()
        row = self._segment.rows[post.index]
        row.storm = 0
        if row.state == WorkerState.STARTING:
            row.state = WorkerState.READY
        self._introduce(post)
        self._dealer.deal()
        self._listener.worker_ready(post)

    def _introduce(self, post: Post) -> None:
        child, intake = post.child, post.intake
        known = post.on_duty or self._drains(post)
        if child is None or not child.ready or intake is None or post.leaving or not known:
            return
        message = {"op": "worker_up", "index": post.index}
        self._listener.tell_acceptor(message, [intake.fileno()])
        if not post.on_duty:
            self._spare(post)

    def _set_duty(self, post: Post, *, on_duty: bool) -> None:
        post.on_duty = on_duty
        self._segment.rows[post.index].on_duty = int(on_duty)

    def _drains(self, post: Post) -> bool:
        return bool(self._segment.rows[post.index].state == WorkerState.DRAINING)

    def _spare(self, post: Post) -> None:
        message = {"op": "worker_drains", "index": post.index, "death": post.deaths}
        post.spared = not self._listener.tell_acceptor(message)

    def _retire(self, post: Post, timeout: float) -> None:
        child = post.child
        if post.timer is not None:
            post.timer.cancel()
            post.timer = None
        if child is None:
            self._vacate(post)
        elif not child.ready:
            self._segment.rows[post.index].state = WorkerState.STOPPING
            child.kill()
        else:
            self._segment.rows[post.index].state = WorkerState.DRAINING
            post.deadline = time.monotonic() + timeout if timeout else math.inf
            self._spare(post)
            self._drain(post, child)

    def _drain(self, post: Post, child: Child) -> None:
        """Stop a worker that drains when it has no session left, or its time is over."""
        if post.child is not child or not self._drains(post):
            return
        over = time.monotonic() >= post.deadline
        row = self._segment.rows[post.index]
        if not over and (not post.spared or row.sessions or self._table.holds(post.index)):
            self._loop.after(DRAIN_PERIOD, lambda: self._drain(post, child))
            return
        if over:
            self._log.warning(
                "old worker ends with sessions: workers.drain_timeout is over",
                worker=post.number,
                sessions=int(row.sessions),
            )
        row.state = WorkerState.STOPPING
        ends.stop(child)
        self._loop.after(self.patience(), partial(self._kill_late, post, child))

    def _vacate(self, post: Post) -> None:
        """Give the row of a worker that is not replaced free."""
        if post.free:
            self._segment.rows[post.index].state = WorkerState.ABSENT

    def _ended(self, post: Post) -> None:
        """A worker's process is no more."""
        self._hear(post)
        child, intake = post.child, post.intake
        assert child is not None
        assert intake is not None
        code = child.exit_code()
        post.outlook = post.outlook.ends(ends.reason(child, code), time.time())
        self._loop.unwatch(child)
        self._loop.unwatch(child.control)
        child.close()
        intake.close()
        post.child = post.intake = None
        row = self._segment.rows[post.index]
        age = "old" if row.state in (WorkerState.DRAINING, WorkerState.STOPPING) else "new"
        row.pid = row.cpu_permille = 0
        row.state = WorkerState.DEAD
        freed = self._reclaim(post, SERVED)
        alone = child.hung or ends.by_itself(code)
        self._dealer.take_back(post, alone and row.stopped_pid != child.pid)
        self._dealer.deal()
        # It may have changed the catalog and told nobody yet.
        self._segment.renew_catalog()
        post.deaths += 1
        post.leaving = self._listener.tell_acceptor(
            {"op": "worker_down", "index": post.index, "death": post.deaths}
        )
        if not post.leaving:
            freed += self._reclaim(post, CLAIMED)
        again = self._listener.worker_ended(post, child.ready, post.outlook.reason)
        facts = {"worker": post.number, "reason": post.outlook.reason, "sessions": freed}
        if not post.on_duty:
            self._log.info(f"{age} worker ended", **facts)
            self._vacate(post)
        elif again:
            self._start_again(post, child, code, facts)
        elif child.ready and not ends.orderly(child.ready, code):
            self._log.error("worker ended", **facts)

    def _start_again(
        self, post: Post, child: Child, code: int | None, facts: dict[str, Any]
    ) -> None:
        post.history, decision = ends.after_end(post.history, child, code)
        say = self._log.info if ends.orderly(child.ready, code) else self._log.error
        say("worker ended", **facts, **ends.told(decision))
        self._start_later(post, decision)

    def _start_later(self, post: Post, decision: Decision) -> None:
        self._segment.rows[post.index].storm = int(decision.storm)
        post.outlook = post.outlook.waits(decision, time.monotonic())
        post.timer = self._loop.after(decision.delay, lambda: self._restart(post))

    def _restart(self, post: Post) -> None:
        try:
            self.start(post.index)
        except OSError as error:
            post.history, decision = ends.without_process(post.history)
            self._log.error(
                "worker cannot be started",
                worker=post.number,
                reason=str(error),
                **ends.told(decision),
            )
            self._start_later(post, decision)

    def _reclaim(self, post: Post, wanted: frozenset[SlotState]) -> int:
        found = self._table.reclaim(post.index, wanted)
        bury = partial(history.bury, self._segment, post.index, post.number, found.slots)
        self._loop.after(0, bury)  # That the slots are free is urgent, this is not.
        self._dealer.add(found.lost)
        return len(found.ids)

    def _kill_late(self, post: Post, child: Child) -> None:
        """End an old worker that has not stopped in time."""
        if post.child is child:
            self._log.warning("old worker does not stop: killed", worker=post.number)
            child.kill()
