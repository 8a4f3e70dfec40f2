"""Bus messages for one session: to whom they belong when they arrive."""

from __future__ import annotations

from tests.helpers.engine import Client, Engine

OPEN = """
local ffi, parcel = require('ffi'), require('beespace.engine.parcel')
local head = ffi.new('uint64_t[2]', ..., 7)
local found, slot, mark = parcel.open(ffi.string(head, parcel.HEAD) .. 'content')
return found, slot ~= nil and tonumber(slot.fd) or nil, mark
"""


def test_a_live_session_is_found(engine: Engine, client: Client) -> None:
    assert engine.execute(OPEN, client.id) == (client.id, client.fd, 7)


def test_a_session_that_has_ended_is_not(engine: Engine) -> None:
    gone = engine.connect()
    gone.close()
    assert engine.execute(OPEN, gone.id) is None or engine.execute(OPEN, gone.id)[0] is None


def test_a_session_of_another_worker_is_not(engine: Engine, client: Client) -> None:
    client.slot.worker = 1
    found = engine.execute(OPEN, client.id)
    client.slot.worker = 0
    assert found is None or found[0] is None
