"""Code that does not return by itself, and the watchdog beside an engine in the test's thread."""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager

from tests.helpers.engine import Engine
from workers.enforcer import Enforcer
from workers.watchdog import Limits, LuaJit, Places, Watchdog

INTERPRETED = "jit.off(true, true) "
LOOPS = [
    INTERPRETED + "while true do end",
    INTERPRETED + "while true do pcall(function() while true do end end) end",
    INTERPRETED + "local t = {3, 2, 1} table.sort(t, function() while true do end end)",
    INTERPRETED + "return setmetatable({}, {__index = function() while true do end end}).x",
    "while true do pcall(function() end) end",
    "while true do pcall(error, {}) end",
    "while true do xpcall(function() local x = nil + 1 end, function() end) end",
    """
    local co = coroutine.wrap(function() while true do coroutine.yield() end end)
    while true do co() end
    """,
    """
    local function f(n) if n == 0 then return {} end return {f(n - 1)} end
    while true do f(20) end
    """,
    "while true do local t = {} for i = 1, 100 do t[i] = tostring(i) end end",
    "while true do box.session.peer() pcall(box.error, 1) end",
]

BUSY = "local now = require('clock').monotonic local e = now() + {} while now() < e do end return 1"

WAIT = """
local fibers = require('beespace.engine.fibers')
_G.pause = function() fibers.suspend(0.02) end
_G.background = fibers.create
_G.later = fibers.start
"""


def hooked(engine: Engine) -> int:
    """What Lua's hook is called for."""
    mask = ctypes.CDLL(engine.library).lua_gethookmask
    mask.argtypes = [ctypes.c_void_p]
    thread = engine.execute("_G.thread = coroutine.create(print) return tostring(_G.thread)")
    return int(mask(int(bytes(thread).split(b": ")[1], 16)))


def enforcer_of(engine: Engine, places: Places) -> Enforcer:
    """What looks after the orders for the engine's sessions."""
    ring = functools.partial(os.eventfd_write, engine.bell, 1)
    return Enforcer(engine.segment, 0, places.sight, ring)


@contextmanager
def guarded(engine: Engine, limits: Limits) -> Iterator[None]:
    places = engine.guard(limits)
    enforcer = enforcer_of(engine, places)
    with Watchdog(LuaJit(engine.library, places), places, limits, engine.table, enforcer):
        yield
