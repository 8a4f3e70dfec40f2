"""The acceptor process: takes connections from the listeners and gives each to a worker.

    doors --accept--> arrivals --> handover --> workers
      | rate used up:     |            | no worker can take them: wait, accept no more
      | accept no more    |            | table full, address has too many: farewell
    supervisor --control--> worker_up, worker_drains, worker_down, settings, accept, stop
    workers --intake--> offers: descriptors that come back to them as sessions

It holds no session. When it dies, sessions go on and the supervisor starts another one on the same
listeners; when the supervisor dies, the control channel closes and the acceptor ends.
"""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import setproctitle

from server import doors, farewell, keepalive, lanes, preludes, reckoning, refusal
from server.admission import Admission
from server.bucket import Bucket
from server.doors import Door, peer_of
from server.farewell import Farewells
from server.gathering import Gathering
from server.handover import BATCH, Arrival, Handover, Outcome, Worker
from server.limits import open_files
from server.preludes import Fault, Preludes
from server.reports import Reports, Trouble
from server.spare import Spare
from shm import channel, layout, logs
from shm.channel import Channel, ChannelClosedError
from shm.launch import AcceptorOrder, ExitCode
from shm.segment import Segment, SegmentError
from shm.sessions import SessionTable

ROLE: Final = "acceptor"
RETRY: Final = 0.25
"""Seconds until accepting or sending is tried again when the system was out of something."""
ROOM: Final = 0.05
"""Seconds until connections are tried again that wait for a worker's descriptors."""
SHARE: Final = 8
"""Part of this process's descriptors that refused connections may have, and pending headers."""
LOOK: Final = 0.5
"""Seconds between two looks at the workers' heartbeats while nothing arrives."""
SALT_BYTES: Final = 32

_OUT_OF_SOMETHING: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


def main(order: AcceptorOrder) -> None:
    """Accept until told to stop."""
    setproctitle.setproctitle(f"beespace: acceptor {order.name}")
    logs.configure(order.log, ROLE)
    try:
        segment = Segment.attach(order.segment)
    except SegmentError as error:
        logs.get().error("cannot start", reason=str(error))
        sys.exit(ExitCode.CANNOT_BOOT)
    reckoning.settle(segment, SessionTable(segment))
    acceptor = Acceptor(order, segment)
    # Python's handler has nothing to do: the wake-up byte of the signal is what stops the loop.
    wakeup, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    acceptor.stop_on(wakeup)
    with contextlib.suppress(ChannelClosedError):
        acceptor.run()


class Acceptor:
    """State of the acceptor process."""

    def __init__(self, order: AcceptorOrder, segment: Segment) -> None:
        self._log_order = order.log
        self._header = segment.header
        self._instance = UUID(bytes=bytes(segment.header.instance))
        table = SessionTable(segment)
        self._capacity = table.capacity - segment.header.reserved
        self._control = Channel(order.control)
        self._selector = selectors.DefaultSelector()
        self._handover = Handover(table, segment)
        self._spare = Spare()
        share = open_files() // SHARE
        self._farewells = Farewells(self._selector, min(farewell.MOST, share))
        self._consoles = segment.consoles
        self._doors = doors.made(order, segment)
        self._gathering = Gathering()
        made = lanes.made(self._selector, self._doors, self._accept)
        self._staff, self._guests, self._proxied = made
        self._late = self._guests.fds | self._proxied.fds
        """Attended to after everything else: what is scarce goes to the staff first."""
        self._came: list[Arrival] = []
        most = min(preludes.MOST, share)
        self._preludes = Preludes(self._selector, self._came.append, self._not_introduced, most)
        self._admission = Admission()
        self._bucket = Bucket(0, 0.0)
        self._roomless = False
        self._waiting: list[Arrival] = []
        self._held: list[Arrival] = []
        self._told_to_accept = False
        self._running = True
        self._retry: float | None = None
        self._look = 0.0
        self._reports = Reports(logs.get())
        self.apply(order.settings)

    def apply(self, values: Mapping[str, Any]) -> None:
        """Take settings that have changed, by their dotted keys; sessions that exist stay."""
        log = self._log_order.changed(values)
        if log != self._log_order:
            self._log_order = log
            logs.configure(log, ROLE)
        before, self._admission = self._admission, self._admission.changed(values)
        if self._admission.accept_rate != before.accept_rate:
            self._bucket = Bucket(self._admission.accept_rate, time.monotonic())
            for lane in (self._guests, self._proxied):
                lane.until = 0.0
        for door in self._doors:
            keepalive.prepare(door.socket, self._admission)
        self._preludes.trusted = self._admission.networks()
        self._handover.quota.limit(self._admission.per_address)

    def stop_on(self, descriptor: int) -> None:
        """Stop in good order when the descriptor is readable, as for ``stop``."""
        self._selector.register(descriptor, selectors.EVENT_READ, self._stop)

    def _stop(self) -> None:
        self._running = False

    def run(self) -> None:
        """Serve until ``stop`` or the end of the supervisor."""
        self._selector.register(self._control, selectors.EVENT_READ, self._obey)
        self._control.send({"op": "ready"})
        while self._running:
            self._header.acceptor_turns += 1
            found = self._selector.select(self._patience())
            for key, _ in sorted(found, key=lambda one: one[0].fd in self._late):
                # An earlier callback of this turn may have closed this one's descriptor.
                if self._running and self._selector.get_map().get(key.fd) is key:
                    key.data()
            self._expire(time.monotonic())
            if self._came or self._waiting or self._held:
                came = self._came[:]
                self._came.clear()
                self._deliver(came)
            self._set_doors()
            self._gathering.rest()
        self._close()

    def _close(self) -> None:
        self._farewells.close()
        self._preludes.close()
        for arrival in (*self._came, *self._waiting, *self._held):
            os.close(arrival.fd)
        self._handover.close()
        self._spare.close()
        self._control.close()
        self._selector.close()

    def _obey(self) -> None:
        """Do what the supervisor says."""
        try:
            while self._running and (received := self._receive()) is not None:
                message, fds = received
                self._do(message, fds)
        except ChannelClosedError:
            self._running = False

    def _receive(self) -> tuple[dict[str, Any], list[int]] | None:
        """The next message; there is a descriptor for what comes with it."""
        with self._spare.lent():
            return self._control.receive()

    def _do(self, message: dict[str, Any], fds: list[int]) -> None:
        op, index = message["op"], message.get("index", -1)
        if op == "worker_up":
            self._forget(index)
            worker = self._handover.add(index, socket.socket(fileno=fds[0]))
            self._selector.register(worker, selectors.EVENT_READ, lambda: self._attend(worker))
        elif op == "worker_down":
            self._forget(index)
            self._control.send({"op": "worker_gone", "index": index, "death": message["death"]})
        elif op == "worker_drains":
            self._handover.spare(index)
            self._control.send({"op": "worker_spared", "index": index, "death": message["death"]})
        elif op == "reopen_logs":
            logs.reopen()
        elif op == "accept":
            self._told_to_accept = True
        elif op == "settings":
            self.apply(message["values"])
        elif op == "stop":
            self._stop()

    def _forget(self, index: int) -> None:
        worker = self._handover.remove(index)
        if worker is not None:
            if worker.fileno() in self._selector.get_map():
                self._selector.unregister(worker)
            worker.intake.close()
            for arrival in self._held:
                if arrival.worker == index:
                    os.close(arrival.fd)
            self._held = [arrival for arrival in self._held if arrival.worker != index]

    def _attend(self, worker: Worker) -> None:
        """A worker offers descriptors, has room again, or is gone."""
        if worker.choked:
            worker.choked = worker.full = False
            self._listen_to(worker, selectors.EVENT_READ)
        offers: list[Arrival] = []
        try:
            while len(offers) < BATCH and (offer := channel.receive_offer(worker.intake)):
                number, fd = offer
                if fd is None:
                    self._pause()
                else:
                    offers.append(Arrival(fd, peer_of(fd), layout.ADOPTED, worker.index, number))
        except ChannelClosedError:
            # The supervisor will tell that it is down.
            self._selector.unregister(worker)
        if offers:
            self._deliver(offers)

    def _listen_to(self, worker: Worker, events: int) -> None:
        if worker.fileno() in self._selector.get_map():
            self._selector.modify(worker, events, lambda: self._attend(worker))

    def _accept(self, door: Door) -> None:
        """Take what waits at one listener; the staff may have the spare descriptor for it."""
        with self._spare.lent() if door.staff else contextlib.nullcontext():
            arrivals = self._accepted(door)
        if arrivals:
            self._deliver(arrivals)
            # Now, or a guest takes the place of the spare descriptor.
            self._spare.refill()

    def _accepted(self, door: Door) -> list[Arrival]:
        """What waited at a door, at most a batch and what the rate allows."""
        arrivals: list[Arrival] = []
        accept, peer, number = door.accept, door.peer, door.number
        most, proxied = self._allowed(door), 0
        try:
            while len(arrivals) + proxied < most:
                fd, address = accept()
                if not door.admits(fd):
                    os.close(fd)
                    self._reports.hit(Trouble.STRANGERS, time.monotonic())
                    continue
                arrival = Arrival(fd, peer(address), number)
                if door.proxied:
                    proxied += 1
                    self._preludes.begin(arrival, address, time.monotonic())
                else:
                    arrivals.append(arrival)
        except BlockingIOError:
            pass
        except OSError as error:
            # Anything else is the fault of one connection, which is gone already.
            self._header.accept_errors += 1
            if error.errno in _OUT_OF_SOMETHING and not (arrivals or proxied):
                self._make_room(door)
        self._gathering.came(len(arrivals) + proxied)
        if not door.staff:
            self._bucket.take(len(arrivals) + proxied)
        return arrivals

    def _make_room(self, door: Door) -> None:
        """Nothing could be accepted: give up what can be, or wait, guests before the staff."""
        if self._farewells.shed():
            return
        if door.staff:
            self._pause()
        else:
            now = time.monotonic()
            self._hold_guests(now + RETRY)
            self._reports.hit(Trouble.SCARCE, now)

    def _hold_guests(self, until: float) -> None:
        self._guests.pause(until)
        self._proxied.pause(until)

    def _not_introduced(self, fault: Fault) -> None:
        setattr(self._header, fault.value, getattr(self._header, fault.value) + 1)
        self._reports.hit(Trouble[fault.name], time.monotonic())

    def _allowed(self, door: Door) -> int:
        """How many connections may come in through a door that somebody waits at."""
        most = min(BATCH, self._preludes.room) if door.proxied else BATCH
        if not self._bucket.rate or door.staff:
            return most
        now = time.monotonic()
        room = self._bucket.room(now)
        if not room:
            self._hold_guests(self._bucket.due())
            self._header.rate_waits += 1
            self._reports.hit(Trouble.RATE, now, rate=self._bucket.rate)
        return min(room, most)

    def _deliver(self, arrivals: Sequence[Arrival]) -> None:
        """Hand these over, after those that have waited."""
        todo = [*self._held, *self._waiting, *arrivals]
        self._held, self._waiting, self._roomless = [], [], False
        for at in range(0, len(todo), BATCH):
            self._settle(self._handover.deliver(todo[at : at + BATCH]))

    def _settle(self, outcome: Outcome) -> None:
        self._held += outcome.held
        self._waiting += outcome.waiting
        for worker in outcome.choked:
            if not outcome.scarce:
                self._await_room(worker)
        if outcome.scarce:
            self._pause()
        now = time.monotonic()
        if outcome.roomless:
            self._roomless = True
            self._header.room_waits += 1
            self._reports.hit(Trouble.ROOM, now, limit=open_files())
        if outcome.refused:
            count = len(outcome.refused)
            self._header.refused += count
            self._reports.hit(Trouble.FULL, now, count, capacity=self._capacity)
            self._refuse(outcome.refused, refusal.full_table(self._capacity), now)
        if outcome.over:
            count, most = len(outcome.over), self._admission.per_address
            self._header.refused_address += count
            last = outcome.over[-1].peer.decode(errors="replace")
            self._reports.hit(Trouble.ADDRESS, now, count, limit=most, last=last)
            self._refuse(outcome.over, refusal.full_address(most), now)

    def _await_room(self, worker: Worker) -> None:
        """Come back to a full worker when its channel can take a message again."""
        worker.choked = True
        self._listen_to(worker, selectors.EVENT_READ | selectors.EVENT_WRITE)

    def _refuse(self, arrivals: Sequence[Arrival], text: str, now: float) -> None:
        """Say no, and why."""
        for arrival in arrivals:
            if arrival.listener in self._consoles:
                answer = refusal.to_console(text)
            else:
                answer = refusal.to_client(self._instance, os.urandom(SALT_BYTES), text)
            self._farewells.say(arrival.fd, answer, now)

    def _pause(self) -> None:
        """The system is out of descriptors or memory: try again later, never in a circle."""
        now = time.monotonic()
        self._retry = now + RETRY
        self._reports.hit(Trouble.SCARCE, now)

    def _expire(self, now: float) -> None:
        self._farewells.expire(now)
        self._preludes.expire(now)
        if not self._spare.refill():
            self._farewells.shed()
        self._guests.expire(now)
        self._proxied.expire(now)
        self._reports.expire(now)
        if self._look <= now:
            self._look = now + LOOK
            self._handover.look(now)
        if self._retry is not None and self._retry <= now:
            self._retry = None
            self._handover.try_again()

    def _patience(self) -> float:
        """Seconds until something is due."""
        times = (
            self._retry,
            self._look,
            time.monotonic() + ROOM if self._roomless else None,
            self._guests.until or None,
            self._farewells.deadline(),
            self._preludes.deadline(),
            self._reports.deadline(),
        )
        return max(min(each for each in times if each is not None) - time.monotonic(), 0)

    def _set_doors(self) -> None:
        """Listen exactly while a new connection could be served or refused."""
        wanted = self._told_to_accept and self._retry is None
        staff = self._handover.staff
        held_up = self._waiting and (
            not self._roomless or any(one.listener in staff for one in self._waiting)
        )
        self._staff.set(wanted and not held_up)
        wanted = wanted and not self._waiting
        self._guests.set(wanted)
        self._proxied.set(wanted and self._preludes.room > 0)
