"""The loop's state, the table view, system calls and protocol numbers: the small modules."""

from __future__ import annotations

import os
import time

import pytest

from shm import layout
from tests.helpers.engine import SALT, Engine
from tests.helpers.lua import make_runtime
from workers.runtime import LuaFailureError

TABLE = "local shared = require('beespace.engine.table') "


def test_the_state_between_batches(engine: Engine) -> None:
    with engine.connect() as client:
        client.in_step()
    source = """
        local state = require('beespace.engine.state')
        local st, cur = state.st, state.cur
        return st.i, st.have, st.w, st.fd, st.in_request, cur.id, cur.fd, state.session_id()"""
    assert engine.execute(source) == (0, 0, 0, -1, 0, 0, -1, 0)


def test_the_current_session_is_known_to_the_log(engine: Engine) -> None:
    source = "return require('beespace.engine.state').session_id()"
    with engine.connect() as client:
        assert client.eval(source).data == [client.id]


def test_reserved_memory_comes_when_it_is_touched() -> None:
    runtime = make_runtime()
    assert runtime.execute(
        """
            local sys = require('beespace.engine.sys')
            local base, size = sys.reserve(64 * 1048576), 64 * 1048576
            base[0], base[size - 1] = 7, 9
            local before = base[0] + base[size - 1]
            sys.discard(base, 4096, size)
            return before, base[0], base[size - 1]
            """
    ) == (16, 7, 0)
    with pytest.raises(LuaFailureError, match="cannot reserve"):
        runtime.execute("require('beespace.engine.sys').reserve(2 ^ 60)")


def test_clocks() -> None:
    runtime = make_runtime()
    source = "local sys = require('beespace.engine.sys') return sys.clock(sys[...])"
    assert abs(runtime.execute(source, b"CLOCK_REALTIME") - time.time()) < 5
    assert abs(runtime.execute(source, b"CLOCK_MONOTONIC") - time.monotonic()) < 5
    assert runtime.execute(source, b"CLOCK_PROCESS") > 0
    pid = "return require('beespace.engine.sys').C.getpid()"
    assert runtime.execute(pid) == os.getpid()


def test_a_layout_that_differs_is_refused() -> None:
    runtime = make_runtime()
    source = TABLE + "shared.declare(...)"
    facts = "bee_slot_t id 0\nbee_slot_t state 12\n"
    with pytest.raises(LuaFailureError, match=r"layout differs: bee_slot_t\.state is 8 here, 12"):
        runtime.execute(source, layout.cdef().encode(), facts.encode())


def test_the_slot_states_are_those_of_python(engine: Engine) -> None:
    source = TABLE + "return shared.FREE, shared.CLAIMED, shared.LIVE, shared.CLOSING"
    assert engine.execute(source) == (0, 1, 2, 3)


def test_the_view_of_the_table(engine: Engine) -> None:
    view = TABLE + "local id = ... return shared.exists(id), shared.peer(id), shared.descriptor(id)"
    assert engine.execute(view, 1000) == (False, None, None)
    session = engine.table.claim(b"1.2.3.4:5", 0, SALT)
    assert session is not None
    assert engine.execute(view, session) == (True, b"1.2.3.4:5", -1)
    engine.table.release(session)
    assert engine.execute(view, session) == (False, None, None)


@pytest.mark.parametrize("odd", ["0", "-1", "2^53", "2^64", "1/0", "-1/0", "0/0", "1e308"])
def test_odd_ids_are_in_no_table(engine: Engine, odd: str) -> None:
    source = TABLE + f"local id = {odd} return shared.exists(id), shared.peer(id)"
    assert engine.execute(source) == (False, None)


def test_a_peer_length_that_cannot_be_is_no_peer(engine: Engine) -> None:
    session = engine.table.claim(b"peer", 0, SALT)
    assert session is not None
    engine.slot(session).peer_len = 200
    assert engine.execute(TABLE + "return shared.peer(...)", session) is None
    engine.slot(session).peer_len = 4
    engine.table.release(session)


KINDS = {
    "uint": [0, 0x7F, 0xCC, 0xCD, 0xCE, 0xCF],
    "map": [0x80, 0x8F, 0xDE, 0xDF],
    "array": [0x90, 0x9F, 0xDC, 0xDD],
    "str": [0xA0, 0xBF, 0xD9, 0xDA, 0xDB],
    "nil": [0xC0],
    "bool": [0xC2, 0xC3],
    "double": [0xCB],
}


def test_the_kind_of_every_first_byte() -> None:
    runtime = make_runtime()
    kind = runtime.execute("return require('beespace.engine.const').kind")
    for byte in range(256):
        expected = "other"
        if byte < 0x80:
            expected = "uint"
        elif byte < 0xC0:
            expected = "map" if byte < 0x90 else "array" if byte < 0xA0 else "str"
        else:
            expected = next((name for name, found in KINDS.items() if byte in found), "other")
        assert runtime.call(kind, byte) == expected.encode(), hex(byte)


def test_every_named_key_has_a_type() -> None:
    runtime = make_runtime()
    source = """
        local const = require('beespace.engine.const')
        for name, key in pairs(const.key) do
          if const.value_type[key] == nil or key > const.LAST_KEY then return name end
        end
        return 'all'"""
    assert runtime.execute(source) == b"all"
