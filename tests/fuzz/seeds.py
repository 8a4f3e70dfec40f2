"""What the fuzzer starts from: the wire corpus, and requests of every other kind.

The application is that of the wire tests, with functions that wait, push and send messages; ``nap``
waits for a moment, whatever it is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tests.fuzz import model
from tests.fuzz.mutate import DANGEROUS
from tests.helpers.raw import CALL, CALL_16, EVAL, ID, PING, pack
from tests.helpers.server import DATA
from tests.wire import cases

STREAM: Final = 0x0A
WATCH: Final = 74
UNWATCH: Final = 75
WATCH_ONCE: Final = 77

_FUNCTIONS: Final = """
local fiber = require('fiber')
function nap(seconds)
  seconds = tonumber(seconds)
  fiber.sleep(seconds and seconds >= 0 and seconds < 0.001 and seconds or 0.0005)
  return box.session.id(), box.session.sync()
end
function pass(...)
  local channel = fiber.channel(1)
  fiber.create(function(...) nap() channel:put({box.session.id(), ...}) end, ...)
  return channel:get(0.1)
end
function take(...) return box.session.receive(0, ...) end
function push(...) return box.session.push((...)), ... end
"""


def application() -> str:
    """The text of the application."""
    return (DATA / "wire_app.lua").read_text(encoding="utf-8") + _FUNCTIONS


def payloads() -> list[bytes]:
    """Packets without their lengths."""
    found = [
        payload
        for case in cases.load()
        for packet in case.send
        for payload in model.read(packet + b"\x00", 1 << 20).packets
    ]
    return [each for each in [*found, *_more()] if not DANGEROUS.search(each)]


def _more() -> Iterator[bytes]:
    sources = (
        "return nap(...)",
        "nap(0) error('after a nap')",
        "return pcall(nap, ...)",
        "return push(...)",
        "push(1) nap(0) push(2) return box.session.closed()",
        "box.session.storage.x = ... return box.session.storage.x",
        "return box.session.exists(...), box.session.peer(...)",
        "return nap, ...",
        "return box.session.push_to(box.session.id(), ...)",
        "return take(...)",
        "return pass(...)",
        "return box.broadcast('k', ...)",
        "local w = box.watch('k', function(key, value) seen = value end) nap() w:unregister()",
        "return box.watch_once('k')",
        "box.session.push_to(box.session.id(), {...}) nap() return take()",
    )
    for sync, source in enumerate(sources, 100):
        for stream in ({}, {STREAM: 1}, {STREAM: 2}):
            for arguments in ([], [0], [1, "two", {"three": [3, None, 2**63]}]):
                body = {0x27: source, 0x21: arguments}
                yield pack({0: EVAL, 1: sync} | stream) + pack(body)
    for kind in (CALL, CALL_16):
        for stream in ({}, {STREAM: 1}, {STREAM: 2**64 - 1}):
            for name in ("nap", "push", "echo"):
                body = {0x22: name, 0x21: [0, "x"]}
                yield pack({0: kind, 1: 200 + kind} | stream) + pack(body)
    yield pack({0: PING, 1: 300, STREAM: 1})
    yield pack({0: ID, 1: 301}) + pack({0x54: 8, 0x55: [0, 1, 2, 3, 4, 5, 6, 7]})
    for kind in (WATCH, UNWATCH, WATCH_ONCE):
        for key in ("box.id", "box.shutdown", "k", ""):
            yield pack({0: kind, 1: 400 + kind}) + pack({0x57: key})
