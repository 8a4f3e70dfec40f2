"""The warm-up keeps to itself: real sessions, their slots and their requests do not notice it."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import pytest

from shm import layout
from tests.helpers.engine import Engine
from tests.helpers.raw import CALL, frame, pack, ping

ID = frame(pack({0: CALL, 1: 9}) + pack({0x22: "box.session.id", 0x21: []}))


def figures(engine: Engine) -> bytes:
    """Every slot, and this worker's row up to where it says how the worker itself fares."""
    row = bytes(engine.segment.rows[0])
    return bytes(engine.segment.slots) + row[: layout.Row.heartbeat.offset]


def test_requests_that_wait_are_answered_after_a_warm_up() -> None:
    with Engine() as engine, engine.connect() as one, engine.connect() as two:
        one.offer(ping(1))
        two.offer(ID)
        before = figures(engine)
        engine.call_main("warm")
        after = figures(engine)
        engine.run()

        assert before == after
        one.take()
        two.take()
        assert [answer.sync for answer in one.packets()] == [1]
        assert [answer.data for answer in two.packets()] == [[two.id]]


def test_the_peer_of_the_warm_up_is_forgotten() -> None:
    """Its session has a number that a real one has, too."""
    with Engine() as engine, engine.connect(b"real") as client:
        assert client.id == 1
        assert client.call("box.session.peer").data == ["real"]
        engine.call_main("warm")
        assert client.call("box.session.peer", 1).data == ["real"]


STATE = "require('beespace.engine.state').st"
QUEUE = """
local ffi = require('ffi')
local state = require('beespace.engine.state')
local fd, bytes = ...
ffi.copy(state.output, bytes, #bytes)
require('beespace.engine.output').later(fd, state.output, #bytes)
"""
KEEP = """
local ffi = require('ffi')
local state = require('beespace.engine.state')
local fd, bytes = ...
ffi.copy(state.input, bytes, #bytes)
require('beespace.engine.input').save(fd, 0, #bytes, 0)
require('beespace.engine.flight').resume_later(fd)
"""


def test_what_fibers_left_to_send_is_sent_before_a_warm_up_and_input_is_read_after_it() -> None:
    """As under load, when the traces are made anew; the slots are beyond those of the warm-up."""
    with Engine() as engine, ExitStack() as stack:
        *_, one, two = [stack.enter_context(engine.connect()) for _ in range(24)]
        engine.execute(QUEUE, one.fd, b"answer")
        engine.execute(KEEP, two.fd, ping(3))
        before = figures(engine)
        engine.call_main("warm")
        assert (one.take(), two.take(), one.slot.pending_out) == (6, 0, 0)
        one.slot.pending_out = 6
        assert figures(engine) == before

        engine.turn()
        engine.run()
        two.take()
        assert bytes(one.buffer) == b"answer"
        assert [answer.sync for answer in two.packets()] == [3]
        one.buffer.clear()


@pytest.mark.parametrize(
    "own",
    [
        "box.session.exists = function() error('not today') end",
        "box.session.exists = nil",
        "box.session = nil",
        "box.session.exists = function() require('fiber').sleep(0.01) return 5 end",
        "box.session.exists = function() return ('x'):rep(5000) end",
        # More than the client of the warm-up takes: the session is not read any more.
        "box.session.exists = function() return ('x'):rep(60000) end",
        "box.session.exists = function() return ('x'):rep(5000000) end",
        "box.session.id = function() box.session.push(('x'):rep(6000)) return 1 end",
        "box.session.peer = function() box.session.push(('x'):rep(500000)) return 'p' end",
        "box.iproto.override(box.iproto.type.CALL, function() error('no calls') end)",
        "box.iproto.override(box.iproto.type.CALL, function() require('fiber').sleep(0) end)",
    ],
)
def test_a_warm_up_takes_applications_that_changed_what_it_calls(own: str) -> None:
    with Engine(warm=False) as engine:
        engine.execute(own)
        engine.call_main("warm")
        with engine.connect() as client:
            assert client.in_step()
            assert client.eval("return 1 + 1").data == [2]
            assert engine.execute(f"return {STATE}.in_request") == 0


def test_a_warm_up_does_not_stand_in_line() -> None:
    """The worker has more waiting requests than it may have: real sessions are not read."""
    with Engine() as engine, engine.connect() as client:
        engine.execute(f"{STATE}.full = 1")
        engine.call_main("warm")
        assert engine.execute(f"return {STATE}.full") == 1
        assert client.in_step()


def test_a_warm_up_leaves_no_descriptor_behind() -> None:
    with Engine(warm=False) as engine:
        probe = socket.socket()
        first = probe.fileno()
        probe.close()
        for _ in range(3):
            engine.call_main("warm")
        with socket.socket() as probe:
            assert probe.fileno() == first


def test_a_warm_up_without_free_descriptors_is_left_out() -> None:
    with Engine(warm=False) as engine, engine.connect() as client:
        engine.execute(
            """
            local sys = require('beespace.engine.sys')
            sys.C = setmetatable({socketpair = function() return -1 end}, {__index = sys.C})
            package.loaded['beespace.engine.warmup'] = nil
            require('beespace.engine.warmup').run()
            """
        )
        client.offer(ping(3))
        engine.run()
        client.take()
        assert [answer.sync for answer in client.packets()] == [3]
