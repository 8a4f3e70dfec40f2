"""Packets that could not be read, in the log: some lines a second, then only their number."""

from __future__ import annotations

from tests.helpers.engine import Engine

RECORD = """
local bridge, complaints = require('beespace.bridge'), require('beespace.engine.complaints')
local log, lines = bridge.log, {}
bridge.log = function(level, text, session)
  lines[#lines + 1] = ('%s %s %s'):format(level, text, session or '-')
end
local ok, raised = pcall(function() %s end)
bridge.log = log
assert(ok, raised)
return table.concat(lines, '\\n')
"""


def lines(engine: Engine, source: str) -> list[str]:
    text = engine.execute(RECORD.replace("%s end)", source + " end)")).decode()
    return text.splitlines()


def test_a_reason_is_said(engine: Engine) -> None:
    found = lines(engine, "complaints.tick() complaints.about('packet header')")
    assert found == ["error Invalid MsgPack - packet header 0"]


def test_a_flood_is_counted(engine: Engine) -> None:
    flood = "complaints.tick() for _ = 1, 100 do complaints.about('packet body') end "
    assert lines(engine, flood) == ["error Invalid MsgPack - packet body 0"] * 10
    assert lines(engine, "complaints.tick()") == ["error 90 more packets could not be read -"]
    assert lines(engine, "complaints.tick()") == []


def test_each_kind_has_lines_of_its_own(engine: Engine) -> None:
    source = """complaints.tick()
        for _ = 1, 12 do complaints.about('x') complaints.refusal('1.2.3.4:5', 'no') end"""
    found = lines(engine, source)
    assert found.count("error Invalid MsgPack - x 0") == 10
    assert found.count("warn on_connect refused 1.2.3.4:5: no 0") == 10
    assert lines(engine, "complaints.tick()") == [
        "error 2 more packets could not be read -",
        "warn 2 more connections were refused by on_connect -",
    ]


def test_a_header_that_cannot_be_read_is_told(engine: Engine) -> None:
    source = """
        local packet = require('beespace.engine.packet')
        local input = require('beespace.engine.state').input
        complaints.tick()
        pcall(packet.header, input, 0, 0)"""
    assert lines(engine, source) == ["error Invalid MsgPack - packet header 0"]
