"""Events in Lua: box.watch, box.watch_once, box.broadcast."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.helpers.engine import Client, Engine, error_of

KEY = "lua key"
WATCH = """
seen = {}
handle = box.watch('lua key', function(key, value)
  table.insert(seen, value == nil and 'nothing' or value)
  if hold then wait(hold) end
end)
"""


@pytest.fixture(autouse=True)
def _clean(engine: Engine) -> Iterator[None]:
    engine.execute("wait, hold = require('beespace.engine.fibers').suspend, nil")
    yield
    engine.execute("""
        if handle then pcall(handle.unregister, handle) end
        box.broadcast('lua key')
    """)
    engine.run()


def seen(engine: Engine) -> list[object]:
    """What the watcher was called with."""
    engine.turn()
    engine.run()
    found = engine.execute("return require('json').encode(seen or {})")
    return list(json.loads(found))


def test_a_watcher_is_called_at_once_and_after_each_change(engine: Engine) -> None:
    engine.execute(WATCH)
    assert engine.execute("return #seen") == 0
    assert seen(engine) == ["nothing"]
    engine.execute("box.broadcast('lua key', 123)")
    assert seen(engine) == ["nothing", 123]
    engine.execute("box.broadcast('lua key', {a = {1}})")
    assert seen(engine) == ["nothing", 123, {"a": [1]}]
    engine.execute("box.broadcast('lua key', nil)")
    engine.execute("box.broadcast('other key', 1)")
    assert seen(engine) == ["nothing", 123, {"a": [1]}, "nothing"]
    assert seen(engine) == ["nothing", 123, {"a": [1]}, "nothing"]


def test_while_it_runs_only_the_last_value_is_kept(engine: Engine) -> None:
    engine.execute("hold = 60")
    engine.execute(WATCH)
    assert seen(engine) == ["nothing"]
    for value in range(1, 6):
        engine.execute("box.broadcast('lua key', ...)", value)
        assert seen(engine) == ["nothing"]
    engine.execute("""
        hold = nil
        local fibers = require('beespace.engine.fibers')
        for _, record in pairs(fibers.by_id) do
          if record.name == 'watcher' then fibers.wake(record) end
        end
    """)
    engine.run_until(lambda: seen(engine) == ["nothing", 5])


def test_unregister(engine: Engine) -> None:
    engine.execute(WATCH)
    assert seen(engine) == ["nothing"]
    engine.execute("handle:unregister() box.broadcast('lua key', 1)")
    assert seen(engine) == ["nothing"]
    for source, text in {
        "handle:unregister()": "Watcher is already unregistered",
        "handle.unregister()": "Use watcher:unregister() instead of watcher.unregister()",
        "handle.unregister({})": "Use watcher:unregister() instead of watcher.unregister()",
    }.items():
        ok, said = engine.execute(f"return pcall(function() {source} end)")
        assert (ok, said.decode()) == (False, text)
    assert engine.execute("return tostring(handle)") == b"box.watcher"


def test_a_watcher_that_is_unregistered_before_its_first_call(engine: Engine) -> None:
    engine.execute(WATCH + "handle:unregister()")
    assert seen(engine) == []


def test_a_handle_that_is_dropped_still_watches(engine: Engine) -> None:
    engine.execute("""
        told = 0
        box.watch('dropped', function() told = told + 1 end)
        collectgarbage()
    """)
    seen(engine)
    assert engine.execute("return told") == 1
    engine.execute("collectgarbage() box.broadcast('dropped', 1)")
    seen(engine)
    assert engine.execute("return told") == 2


def test_several_watchers_of_a_key(engine: Engine) -> None:
    engine.execute("""
        calls, handles = {0, 0, 0}, {}
        for k = 1, 3 do
          handles[k] = box.watch('lua key', function() calls[k] = calls[k] + 1 end)
        end
    """)
    engine.turn()
    engine.run()
    engine.execute("handles[2]:unregister() box.broadcast('lua key', 1)")
    engine.turn()
    engine.run()
    assert engine.execute("return unpack(calls)") == (2, 1, 2)
    engine.execute("handles[1]:unregister() handles[3]:unregister()")


def test_an_error_is_a_line_of_the_log(engine: Engine) -> None:
    engine.execute("""
        log = require('log')
        log_error, lines = log.error, {}
        log.error = function(...) table.insert(lines, string.format(...)) end
        seen = {}
        handle = box.watch('lua key', function(key, value)
          table.insert(seen, value or 'nothing')
          error('no ' .. #seen)
        end)
    """)
    assert seen(engine) == ["nothing"]
    engine.execute("box.broadcast('lua key', 1)")
    assert seen(engine) == ["nothing", 1]
    lines = engine.execute("log.error = log_error return unpack(lines)")
    assert all(b"watcher of 'lua key' failed: " in line and b"no " in line for line in lines)
    assert len(lines) == 2


def test_a_watcher_runs_as_a_fiber_of_no_session(client: Client) -> None:
    client.eval("""
        who = nil
        local euid = box.session.euid()
        handle = box.watch('lua key', function()
          who = {box.session.id(), box.session.type(), box.session.euid() == euid}
        end)
    """)
    client.engine.turn()
    assert client.eval("return who").data == [[0, "background", True]]


def test_a_watcher_of_the_application(engine: Engine) -> None:
    engine.call_main("load", b"app.lua", WATCH.encode())
    engine.execute("box.broadcast('lua key', 'early')")
    assert seen(engine) == ["early"]


def test_watch_once(client: Client) -> None:
    once = "return select('#', box.watch_once('lua key')), box.watch_once('lua key')"
    assert client.eval(once).data == [0]
    client.eval("box.broadcast('lua key', {1, 2})")
    assert client.eval(once).data == [1, [1, 2]]
    client.eval("box.broadcast('lua key', false)")
    assert client.eval(once).data == [1, False]
    client.eval("box.broadcast('lua key', box.NULL)")
    assert client.eval(once).data == [0]
    client.eval("box.broadcast(5, 'number') ")
    assert client.eval("return box.watch_once('5'), box.watch_once(5)").data == ["number"] * 2
    client.eval("box.broadcast(5)")


def test_an_error_object_is_sent_as_its_text(client: Client) -> None:
    client.request(73, {0x54: 6, 0x55: [2]})
    client.eval("box.broadcast('lua key', box.error.new{code = 7, reason = 'why'})")
    assert client.eval("return box.watch_once('lua key')").data == ["why"]


WATCH_USAGE = "Usage: box.watch(key, function)"
BROADCAST_USAGE = "Usage: box.broadcast(key[, value])"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("box.watch()", WATCH_USAGE),
        ("box.watch('x')", WATCH_USAGE),
        ("box.watch('x', print, 1)", WATCH_USAGE),
        ("box.watch({}, print)", "bad argument #1 to 'watch' (string expected, got table)"),
        ("box.watch('x', 'y')", "bad argument #2 to 'watch' (function expected, got string)"),
        ("box.watch_once()", "Usage: box.watch_once(key)"),
        ("box.watch_once('x', 1)", "Usage: box.watch_once(key)"),
        ("box.watch_once({})", "bad argument #1 to 'watch_once' (string expected, got table)"),
        ("box.broadcast()", BROADCAST_USAGE),
        ("box.broadcast('x', 1, 2)", BROADCAST_USAGE),
        ("box.broadcast(nil)", "bad argument #1 to 'broadcast' (string expected, got nil)"),
        ("box.broadcast({}, 1)", "bad argument #1 to 'broadcast' (string expected, got table)"),
        ("box.broadcast('box.status', 1)", "System event can't be override"),
        ("box.broadcast('box.own')", "System event can't be override"),
        ("box.broadcast('x', print)", "unsupported Lua type 'function'"),
    ],
)
def test_errors(client: Client, source: str, text: str) -> None:
    assert error_of(client.eval(source)) == (32, text)
