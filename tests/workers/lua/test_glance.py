"""Copies of slots: of one session as a whole, whoever changes the slot meanwhile."""

from __future__ import annotations

import threading

from tests.helpers.engine import SALT, Client, Engine
from tests.helpers.torture import rounds

READ = """
local glance = require('beespace.engine.glance')
local labels = require('beespace.engine.labels')
local id = ...
if not glance.of(id) then return nil end
return tonumber(glance.copy.id), labels.name(glance.copy)
"""


def test_a_session(client: Client) -> None:
    assert client.engine.execute(READ, client.id) == (client.id, b"")


def test_none(client: Client) -> None:
    capacity = client.engine.segment.capacity
    for number in (0, -1, client.id + 1, client.id + capacity, 2.0**53, 2.0**64, float("nan")):
        assert client.engine.execute(READ, number) is None


def test_a_free_slot_and_a_claimed_one(engine: Engine) -> None:
    look = "return require('beespace.engine.glance').at(...)"
    number = engine.table.claim(b"p", 0, SALT)
    assert number is not None
    index = number % engine.segment.capacity
    assert engine.execute(look, index) == number
    engine.table.release(number)
    assert engine.execute(look, index) == 0


def test_a_name_that_its_dead_owner_has_left_half_written_counts_as_none(client: Client) -> None:
    client.slot.text, client.slot.name_len, client.slot.text_version = b"half", 4, 7
    assert client.engine.execute(READ, client.id) == (client.id, b"")
    client.slot.text_version = 8
    assert client.engine.execute(READ, client.id) == (client.id, b"half")


def test_names_are_never_read_half_written(client: Client) -> None:
    """Another thread changes the name as a worker does, while Lua reads without the lock."""
    slot, stop = client.slot, threading.Event()
    names = [bytes([65 + n]) * (1 + 7 * n % 60) for n in range(26)]

    def write() -> None:
        turn = 0
        while not stop.is_set():
            name = names[turn % len(names)]
            slot.text_version |= 1
            slot.name_len = len(name)
            slot.text = name
            slot.text_version = (slot.text_version + 1) % 65536
            turn += 1

    writer = threading.Thread(target=write)
    writer.start()
    found: set[bytes] = set()
    try:
        for _ in rounds(0, lambda: len(found) > 1):
            found.update(client.engine.execute(READ, client.id)[1] for _ in range(3000))
    finally:
        stop.set()
        writer.join()
    assert found <= {b"", *names}
    assert len(found) > 1
