"""Messages between workers: order, length, full sockets, processes that come and go."""

from __future__ import annotations

import itertools
import select
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from shm import channel
from tests.helpers.engine import Engine
from tests.helpers.lua import make_runtime
from workers.runtime import LuaFailureError

MIB = 1 << 20
DATAGRAM = 32 * 1024
PROGRAM = """
require('beespace.engine.table').is_used = function(row) return row ~= free end
local bus = require('beespace.engine.bus')
local index, reader, writers, log = ...
local channels, watched = {}, {}
function channels.add_channel(fd, attend, interest) watched[fd] = {attend, interest or 1} end
function channels.drop_channel(fd) watched[fd] = nil end
bus.attach(index, reader, writers, channels)
for kind = 1, 5 do
  bus.on(kind, function(payload, from)
    if payload == 'raise' then error('as asked') end
    log[#log + 1] = {kind, payload, from}
  end)
end
local now = bus.now
local node = {}
function node.send(target, kind, payload, count)
  local sent = 0
  for _ = 1, count do
    if not bus.send(target, kind, payload) then break end
    sent = sent + 1
  end
  return sent
end
function node.step()
  while now.dirty > 0 do bus.flush_next() end
end
function node.attend(fd)
  watched[fd][1](fd)
  while now.at < now.have do bus.next() end
end
function node.watched()
  local text = {}
  for fd, each in pairs(watched) do text[#text + 1] = fd .. ':' .. each[2] end
  return table.concat(text, ' ')
end
function node.taken()
  local list = {}
  for index, each in ipairs(log) do list[index], log[index] = each, nil end
  return unpack(list)
end
node.broadcast, node.waiting = bus.broadcast, bus.waiting
return node
"""


class Node:
    """One worker's bus in a runtime of its own, moved by hand."""

    def __init__(self, index: int, rows: tuple[tuple[socket.socket, socket.socket], ...]) -> None:
        self.logged: list[str] = []
        self.index = index
        self.runtime = make_runtime({"log": lambda _, text: self.logged.append(text.decode())})
        writers = " ".join(str(writer.fileno()) for _, writer in rows)
        chunk = self.runtime.execute("return assert(loadstring(...))", PROGRAM.encode())
        self._node = self.runtime.call(
            chunk, index, rows[index][0].fileno(), writers.encode(), self.runtime.table({})
        )

    def call(self, name: str, *arguments: Any) -> Any:
        return self.runtime.call(self._node[name.encode()], *arguments)

    def send(self, target: int, payload: bytes, kind: int = 2, count: int = 1) -> int:
        """Messages that were taken of ``count`` equal ones."""
        return int(self.call("send", target, kind, payload, count))

    def turn(self) -> bool:
        """Flush, then attend to what is ready; whether anything was."""
        self.call("step")
        poll = select.poll()
        for entry in self.call("watched").decode().split():
            fd, mask = entry.split(":")
            poll.register(int(fd), int(mask))
        ready = poll.poll(0)
        for ready_fd, _ in ready:
            self.call("attend", ready_fd)
        return bool(ready)

    def taken(self) -> list[tuple[int, bytes, int]]:
        """What the handlers got since the last call: kind, payload, sender."""
        found = self.call("taken")
        if found is None:
            return []
        entries = found if isinstance(found, tuple) else (found,)
        return [(int(entry[1]), bytes(entry[2]), int(entry[3])) for entry in entries]


Nodes = list[Node]


@pytest.fixture
def rows() -> Iterator[tuple[tuple[socket.socket, socket.socket], ...]]:
    made = channel.bus(3)
    yield made
    for end in itertools.chain(*made):
        end.close()


@pytest.fixture
def nodes(rows: Any) -> Nodes:
    return [Node(index, rows) for index in range(3)]


def settle(*nodes: Node) -> None:
    """Turns of all until nothing moves."""
    while sum(node.turn() for node in nodes):
        pass


def payloads(node: Node) -> list[bytes]:
    return [payload for _, payload, _ in node.taken()]


def test_a_message_arrives_once_with_kind_and_sender(nodes: Nodes) -> None:
    assert nodes[0].send(1, b"word", kind=3) == 1
    assert nodes[2].send(1, b"", kind=1) == 1
    settle(*nodes)

    assert sorted(nodes[1].taken()) == [(1, b"", 2), (3, b"word", 0)]
    assert [node.taken() for node in (nodes[0], nodes[2])] == [[], []]


def test_nothing_leaves_before_the_turn_ends(nodes: Nodes) -> None:
    nodes[0].send(1, b"x")
    nodes[1].turn()
    assert nodes[1].taken() == []
    nodes[0].turn()
    nodes[1].turn()
    assert payloads(nodes[1]) == [b"x"]


def test_messages_of_one_turn_travel_together(nodes: Nodes, rows: Any) -> None:
    nodes[0].send(1, b"a", count=100)
    nodes[0].turn()
    assert len(rows[1][0].recv(65536)) == 8 + 100 * 13
    with pytest.raises(BlockingIOError):
        rows[1][0].recv(65536, socket.MSG_DONTWAIT)


def test_order_is_kept_whatever_the_lengths(nodes: Nodes) -> None:
    lengths = [0, 1, DATAGRAM - 20, DATAGRAM - 19, DATAGRAM, 7, 3 * DATAGRAM + 5, 100_000, 9, MIB]
    sent = [bytes([number]) * length for number, length in enumerate(lengths * 3)]
    for payload in sent:
        assert nodes[0].send(1, payload) == 1
    settle(*nodes)
    assert payloads(nodes[1]) == sent


def test_a_message_to_oneself_comes_with_the_next_turn(nodes: Nodes) -> None:
    nodes[0].send(0, b"one")
    nodes[0].send(0, b"2" * 100_000)
    assert nodes[0].taken() == []
    settle(nodes[0])
    assert nodes[0].taken() == [(2, b"one", 0), (2, b"2" * 100_000, 0)]


def test_broadcast_reaches_all_others(nodes: Nodes) -> None:
    nodes[1].call("broadcast", 1, b"all")
    settle(*nodes)
    assert [payloads(node) for node in nodes] == [[b"all"], [], [b"all"]]


def test_broadcast_leaves_free_rows_out(nodes: Nodes) -> None:
    nodes[0].runtime.execute("free = 2")
    nodes[0].call("broadcast", 1, b"all")
    settle(*nodes)
    assert [payloads(node) for node in nodes] == [[], [b"all"], []]


def test_long_messages_of_two_senders_do_not_mix(nodes: Nodes) -> None:
    first, second = b"0" * (3 * MIB), b"2" * (3 * MIB + 1)
    nodes[0].send(1, first)
    nodes[2].send(1, second)
    settle(*nodes)
    assert sorted(nodes[1].taken()) == [(2, first, 0), (2, second, 2)]


def test_the_longest_message(nodes: Nodes) -> None:
    longest = bytes(256 * MIB - 1) + b"x"
    assert nodes[0].send(1, longest) == 1
    settle(*nodes)
    ((_, payload, _),) = nodes[1].taken()
    assert payload == longest
    with pytest.raises(LuaFailureError, match="a message of 268435457 bytes, at most 268435456"):
        nodes[0].send(1, longest + b"y")


def test_a_reader_that_sleeps_holds_up_nobody_else(nodes: Nodes) -> None:
    piece = b"p" * 10_000
    taken = nodes[0].send(1, piece, count=1000)
    assert taken == 1000
    nodes[0].send(2, b"for another")
    settle(nodes[0], nodes[2])
    assert payloads(nodes[2]) == [b"for another"]
    assert nodes[0].call("waiting", 1) > 0
    settle(*nodes)
    assert payloads(nodes[1]) == [piece] * 1000
    assert nodes[0].call("waiting", 1) == 0


def test_what_may_wait_is_bounded(nodes: Nodes) -> None:
    piece = b"p" * 100_000
    taken = nodes[0].send(1, piece, count=2000)
    assert 64 * MIB // 100_000 <= taken < 2000
    assert 64 * MIB < nodes[0].call("waiting", 1) < 65 * MIB
    assert nodes[0].send(1, b"") == 0
    assert nodes[0].send(2, b"to another") == 1
    settle(*nodes)
    assert payloads(nodes[1]) == [piece] * taken
    assert nodes[0].send(1, b"again") == 1


@pytest.mark.parametrize("target", [-1, 3, 256])
def test_a_worker_that_is_none_is_refused(nodes: Nodes, target: int) -> None:
    with pytest.raises(LuaFailureError, match=f"there is no worker {target}"):
        nodes[0].send(target, b"x")


def test_an_error_of_a_handler_is_logged_and_harms_no_other_message(nodes: Nodes) -> None:
    for payload in (b"before", b"raise", b"after"):
        nodes[0].send(1, payload)
    settle(*nodes)
    assert payloads(nodes[1]) == [b"before", b"after"]
    (line,) = nodes[1].logged
    assert line.startswith("a message of kind 2 failed: ")
    assert line.endswith("as asked")


def test_a_kind_that_nobody_hears_is_dropped(nodes: Nodes) -> None:
    nodes[0].send(1, b"x", kind=6)
    nodes[0].send(1, b"y", kind=2)
    settle(*nodes)
    assert payloads(nodes[1]) == [b"y"]


# Processes that come and go ----------------------------------------------------------------------


def test_a_new_process_reads_what_its_rows_last_one_left(nodes: Nodes, rows: Any) -> None:
    nodes[0].send(1, b"left")
    nodes[0].turn()
    successor = Node(1, rows)
    settle(successor)
    assert payloads(successor) == [b"left"]


def test_half_a_message_of_a_dead_sender_is_dropped(nodes: Nodes, rows: Any) -> None:
    nodes[0].send(1, b"d" * (8 * MIB))
    nodes[0].turn()
    for _ in range(10):
        nodes[1].turn()
    while nodes[1].turn():
        pass
    successor = Node(0, rows)
    successor.send(1, b"short")
    successor.send(1, b"s" * MIB)
    settle(successor, nodes[1])
    assert payloads(nodes[1]) == [b"short", b"s" * MIB]


def test_the_rest_of_a_message_is_nothing_to_a_new_reader(nodes: Nodes, rows: Any) -> None:
    nodes[0].send(1, b"d" * (8 * MIB))
    nodes[0].turn()
    nodes[1].turn()
    successor = Node(1, rows)
    nodes[0].send(1, b"next")
    nodes[0].send(1, b"n" * MIB)
    settle(nodes[0], successor)
    assert payloads(successor) == [b"next", b"n" * MIB]


# In the loop -------------------------------------------------------------------------------------

HEAR = """
local bus = require('beespace.engine.bus')
heard = {}
bus.on(bus.KIND.SEND, function(payload) heard[#heard + 1] = payload end)
function tell(text, count)
  for _ = 1, count do bus.send(0, bus.KIND.SEND, text) end
end
"""


def test_a_request_sends_and_the_loop_delivers() -> None:
    with Engine() as engine, engine.connect() as client:
        engine.execute(HEAR)
        assert client.eval("tell(...) return #heard", "short", 3).data == [0]
        assert client.eval("return #heard, heard[3]").data == [3, "short"]
        assert client.eval("tell(...)", "l" * MIB, 3).code == 0
        client.read()
        assert client.eval("return #heard, #heard[6]").data == [6, MIB]


def test_a_message_wakes_a_loop_that_sleeps() -> None:
    with Engine() as engine:
        engine.execute(HEAR)
        other = Node(0, engine.bus)
        other.send(0, b"wake up", kind=3)
        other.call("step")
        assert engine.run() == 1
        assert engine.execute("return heard[1]") == b"wake up"
