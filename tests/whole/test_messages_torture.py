"""Many senders of several workers and one inbox: the limit, the order, and senders that die."""

from __future__ import annotations

import contextlib
import os
import signal
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from tests.helpers.raw import EVAL, ClosedError, Raw, request
from tests.helpers.server import DATA, Server, running
from tests.helpers.wait import tries, wait_until

WORKERS = 3
SENDERS = 9
LIMIT = 200_000
EACH = 32
TEXT = 57
# {sender, number, text}: a head, two small numbers at least, the text with its two bytes.
SMALLEST = 1 + 1 + 1 + 2 + TEXT + EACH

FILL = """
    local id, sender, length = ...
    local text, sent = ('x'):rep(length), 0
    while box.session.push_to(id, {sender, 0, text}) do sent = sent + 1 end
    return sent"""
FLOOD = """
    local id, sender, count, length = ...
    local fiber, text, sent = require('fiber'), ('x'):rep(length), 0
    while sent < count do
      local ok, err = box.session.push_to(id, {sender, sent, text})
      if ok then
        sent = sent + 1
      elseif err.message:find('full', 1, true) then
        fiber.sleep(0.0005)
      else
        error(err)
      end
    end
    return sent"""
# Messages that fill no datagram of the bus, and then no turn that would send them.
RESERVE = """
    local id, count = ...
    for k = 1, count do assert(box.session.push_to(id, {0, k, ''})) end
    require('log').info('reserved')
    while true do end"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("torture")
    settings = {"session": {"inbox_limit": LIMIT}}
    app = DATA / "whole_app.lua"
    with running(folder, app=app, workers=WORKERS, settings=settings) as made:
        yield made


def ask(client: Raw, source: str, *arguments: object) -> None:
    """Send an EVAL without waiting for its answer."""
    client.send(request({0: EVAL, 1: client.next_sync()}, {0x27: source, 0x21: list(arguments)}))


def place(client: Raw) -> tuple[int, int]:
    """Session id and worker of a client."""
    session, worker = client.eval("return box.session.id(), box.info.worker.id").data
    return session, worker


@contextlib.contextmanager
def crowd(server: Server) -> Iterator[tuple[Raw, int, list[Raw]]]:
    """A receiver with its session, and senders, three of each worker."""
    with contextlib.ExitStack() as stack:
        receiver = stack.enter_context(Raw(server.address))
        session, _ = place(receiver)
        by_worker: dict[int, list[Raw]] = defaultdict(list)
        for _ in tries():
            if sum(map(len, by_worker.values())) == SENDERS:
                break
            client = stack.enter_context(Raw(server.address, deadline=30))
            _, worker = place(client)
            if len(by_worker[worker]) < SENDERS // WORKERS:
                by_worker[worker].append(client)
        yield receiver, session, [each for some in by_worker.values() for each in some]


def take(receiver: Raw, count: int) -> list[Any]:
    """That many messages."""
    got: list[Any] = []
    while len(got) < count:
        more = receiver.eval("return box.session.receive(5, ...)", count - len(got)).data[0]
        assert more, f"{len(got)} of {count} messages came"
        got += more
    return got


def capacity(receiver: Raw, sender: Raw, session: int) -> int:
    """Smallest messages that an empty inbox holds; it is empty again afterwards."""
    sent: int = sender.eval(FILL, session, 0, TEXT).data[0]
    take(receiver, sent)
    return sent


def test_the_limit_is_exact_over_all_senders(server: Server) -> None:
    with crowd(server) as (receiver, session, senders):
        for _ in range(5):
            for number, each in enumerate(senders):
                ask(each, FILL, session, number, TEXT)
            sent = [each.packet().data[0] for each in senders]
            assert sum(sent) == LIMIT // SMALLEST
            senders_of = [message[0] for message in take(receiver, sum(sent))]
            assert [senders_of.count(number) for number in range(SENDERS)] == sent
            assert receiver.eval("return box.session.receive(0)").data == [[]]


def test_all_arrive_once_and_in_the_order_of_each_sender(server: Server) -> None:
    count = 2000
    with crowd(server) as (receiver, session, senders):
        for number, each in enumerate(senders):
            ask(each, FLOOD, session, number, count, TEXT)
        by_sender: dict[int, list[int]] = defaultdict(list)
        for sender, number, text in take(receiver, SENDERS * count):
            assert len(text) == TEXT
            by_sender[sender].append(number)
        assert [each.packet().data for each in senders] == [[count]] * SENDERS
        assert by_sender == {number: list(range(count)) for number in range(SENDERS)}
        assert capacity(receiver, senders[0], session) == LIMIT // SMALLEST


@contextlib.contextmanager
def sender_elsewhere(server: Server, receiver: Raw) -> Iterator[tuple[Raw, int]]:
    """A client of another worker than the receiver's, and that worker."""
    _, own = place(receiver)
    with contextlib.ExitStack() as stack:
        for _ in tries():
            client = stack.enter_context(Raw(server.address))
            _, worker = place(client)
            if worker != own:
                yield client, worker
                return
        raise AssertionError("no client on another worker")


def kill(server: Server, pid: int) -> None:
    """End a worker at once, and wait until another process has taken its row."""
    before = len(server.lines("worker is back"))
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(server.lines("worker is back")) > before, 20, "the new worker")


def test_a_sender_killed_while_messages_fly(server: Server) -> None:
    pids = server.worker_pids()
    with Raw(server.address) as receiver:
        session, _ = place(receiver)
        with sender_elsewhere(server, receiver) as (sender, worker):
            ask(sender, FLOOD, session, 1, 10_000_000, TEXT)
            numbers = [number for _, number, _ in take(receiver, 5000)]
            kill(server, pids[worker])
            with pytest.raises(ClosedError):
                sender.packet()
        while more := receiver.eval("return box.session.receive(1)").data[0]:
            numbers += [number for _, number, _ in more]

        assert numbers == list(range(len(numbers)))
        with sender_elsewhere(server, receiver) as (other, _):
            assert other.eval("return box.session.push_to(...)", session, "next").data == [True]
            assert take(receiver, 1) == ["next"]


def test_what_a_dead_sender_had_reserved_is_given_back(server: Server) -> None:
    pids = server.worker_pids()
    with Raw(server.address) as receiver:
        session, _ = place(receiver)
        with sender_elsewhere(server, receiver) as (sender, worker):
            ask(sender, RESERVE, session, 500)
            wait_until(lambda: server.lines("reserved"), 10, "the reservations")
            kill(server, pids[worker])
        with sender_elsewhere(server, receiver) as (other, _):
            wait_until(
                lambda: capacity(receiver, other, session) == LIMIT // SMALLEST,
                20,
                "all the room of the inbox",
            )
