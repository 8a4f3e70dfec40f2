"""What is due now and then: the catalog at every tick, all else once a second."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import users
from tests.helpers.engine import Engine

SETUP = """
chores = require('beespace.engine.chores')
complaints, health = require('beespace.engine.complaints'), require('beespace.engine.health')
before = {tick = complaints.tick, needs_cure = health.needs_cure}
asked = {}
complaints.tick = function() asked[#asked + 1] = 'complaints' end
health.needs_cure = function(now) asked[#asked + 1] = 'health' return now == 7 end
"""
TICKS = """
local cures = {}
for index = 1, 4 do cures[index] = tostring(chores.tick(7)) end
return #asked, table.concat(cures, ' ')"""


@pytest.fixture(autouse=True)
def _chores(engine: Engine) -> Iterator[None]:
    engine.execute(SETUP)
    yield
    engine.execute("complaints.tick, health.needs_cure = before.tick, before.needs_cure")


def test_two_ticks_come_to_a_second(engine: Engine) -> None:
    assert engine.execute("return chores.SECONDS") == 0.5
    count, cures = engine.execute(TICKS)
    assert count == 4
    assert cures in (b"false true false true", b"true false true false")


def test_the_catalog_is_read_at_every_tick(engine: Engine) -> None:
    known = "return require('beespace.engine.catalog').by_name[...] ~= nil"
    for name in ("one", "two"):
        users.add(engine, name)
        assert engine.execute(known, name.encode()) is False
        engine.execute("chores.tick(0)")
        assert engine.execute(known, name.encode()) is True


def test_a_catalog_that_cannot_be_read_is_said_and_tried_again(engine: Engine) -> None:
    engine.execute(
        """
        bridge, said = require('beespace.bridge'), {}
        log, snapshot = bridge.log, bridge.catalog_snapshot
        bridge.log = function(level, text) said[#said + 1] = level .. ' ' .. text end
        bridge.catalog_snapshot = function() return nil, 'the disk is gone' end"""
    )
    try:
        users.add(engine, "three")
        engine.execute("chores.tick(0)")
        assert engine.execute("return said[1]") == (
            b"error users and rights were not read: the disk is gone"
        )
    finally:
        engine.execute("bridge.log, bridge.catalog_snapshot = log, snapshot")
    engine.execute("chores.tick(0)")
    known = "return require('beespace.engine.catalog').by_name.three ~= nil"
    assert engine.execute(known) is True


@pytest.mark.skipif(not Path("/proc/self/fd").stat().st_size, reason="Linux 6.2 tells the number")
def test_descriptors_are_counted_without_python(engine: Engine) -> None:
    count = "return require('beespace.engine.sys').descriptors()"
    gc.collect()
    before = engine.execute(count)
    assert before == len(os.listdir("/proc/self/fd")) - 1
    reader, writer = os.pipe()
    assert engine.execute(count) == before + 2
    os.close(reader)
    os.close(writer)


COUNTED = """
local sys, bridge = require('beespace.engine.sys'), require('beespace.bridge')
local sessions = require('beespace.engine.sessions')
local there, listed, limit = sys.descriptors, bridge.descriptors, sessions.limit
local count = 0
sys.descriptors = function() return nil end
bridge.descriptors = function() count = count + 1 return listed() end
sessions.limit = ...
chores.tick(0) chores.tick(0)
sys.descriptors, bridge.descriptors, sessions.limit = there, listed, limit
return count
"""


def test_an_older_system_lists_them_only_when_they_may_run_out(engine: Engine) -> None:
    with engine.connect():
        assert engine.execute(COUNTED, 2) == 0
        assert engine.execute(COUNTED, 1) == 1
