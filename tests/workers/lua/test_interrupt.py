"""The hook that ends code: it raises in the doomed code only, and takes itself away."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any

import pytest

from shm.running import IDENTITY
from tests.helpers.engine import Engine
from workers.watchdog import MEMORY, TIME, Doom, Limits, LuaJit

HEAP = 32 << 20
HOARD = "local t = {} for i = 1, 400 do t[i] = ('x'):rep(100000) .. i end return t"
NO_MEMORY = "not enough memory"


class Hook:
    """The watchdog's part, done by hand before the code runs."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.places = engine.guard(Limits(time=1.0, memory=HEAP))
        self._doom = Doom.from_address(self.places.doom)
        self._set = LuaJit(engine.library, self.places).interrupt
        self._mask = ctypes.CDLL(engine.library).lua_gethookmask
        self._mask.argtypes = [ctypes.c_void_p]

    def doom(self, pulse: bytes, reason: int = TIME) -> None:
        self._doom.reason = reason
        ctypes.memmove(self._doom.pulse, pulse, IDENTITY)
        self._set()

    def go_on(self) -> None:
        """Let other code run: the pulse moves."""
        ctypes.c_double.from_address(self.places.pulse).value += 1

    @property
    def pulse(self) -> bytes:
        return ctypes.string_at(self.places.pulse, IDENTITY)

    @property
    def is_set(self) -> bool:
        return bool(self._mask(self.places.lua))


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Engine(warm=False) as engine:
        made = Hook(engine)
        yield made
        made.go_on()


def outcome(hook: Hook, source: str) -> Any:
    run = "local chunk = ... return pcall(assert(loadstring(chunk, '=app')))"
    return hook.engine.execute(run, source.encode())


def test_nothing_is_hooked_before(hook: Hook) -> None:
    assert not hook.is_set


def test_the_doomed_code_gets_an_error(hook: Hook) -> None:
    hook.doom(hook.pulse)
    with pytest.raises(Exception, match="took longer than"):
        outcome(hook, "return 1")


def test_other_code_goes_on_and_the_hook_is_gone(hook: Hook) -> None:
    hook.doom(hook.pulse)
    hook.go_on()
    assert outcome(hook, "return 1") == (True, 1)
    assert not hook.is_set


def test_it_can_be_set_again(hook: Hook) -> None:
    for _ in range(3):
        hook.doom(hook.pulse)
        hook.go_on()
        assert outcome(hook, "return 1") == (True, 1)
    hook.doom(hook.pulse)
    with pytest.raises(Exception, match="took longer than"):
        outcome(hook, "return 1")


def test_our_own_code_is_not_interrupted(hook: Hook) -> None:
    hook.doom(hook.pulse)
    ours = hook.engine.main[b"warm"]
    hook.engine.runtime.call(ours)


def test_a_pulse_is_the_head_of_the_state(hook: Hook) -> None:
    at = hook.engine.execute(
        """
        local ffi = require('ffi')
        local at = {}
        for name in ('batch switches i have in_request away'):gmatch('%S+') do
          at[#at + 1] = ffi.offsetof('bee_state_t', name)
        end
        return table.concat(at, ' ')
        """
    )
    assert bytes(at) == b"0 8 16 20 24 28"


def test_both_sides_know_one_doom(hook: Hook) -> None:
    at = hook.engine.execute(
        """
        local ffi = require('ffi')
        return ffi.offsetof('bee_doom_t', 'reason'), ffi.offsetof('bee_doom_t', 'pace'),
          ffi.offsetof('bee_doom_t', 'blamed'), ffi.sizeof('bee_doom_t')
        """
    )
    fields = (Doom.reason, Doom.pace, Doom.blamed)
    assert tuple(at) == (*(field.offset for field in fields), ctypes.sizeof(Doom))


def test_the_collector_is_as_before(hook: Hook) -> None:
    hook.engine.execute("collectgarbage('setstepmul', 321)")
    for _ in range(2):
        hook.doom(hook.pulse)
        hook.go_on()
        outcome(hook, "return 1")
    assert hook.engine.execute("return collectgarbage('setstepmul', 200)") == 321


def test_memory_is_collected_before_anybody_is_blamed(hook: Hook) -> None:
    hook.engine.execute("collectgarbage('stop')")
    hook.engine.execute(HOARD)
    hook.doom(hook.pulse, MEMORY)
    assert outcome(hook, "return collectgarbage('count') < 20000") == (True, True)
    assert not hook.is_set


def hoarder(hook: Hook) -> Any:
    """Code is condemned for this table; who holds it back holds its memory."""
    hook.engine.execute("collectgarbage('stop')")
    hoard = hook.engine.execute(HOARD)
    hook.doom(hook.pulse, MEMORY)
    with pytest.raises(Exception, match=NO_MEMORY):
        outcome(hook, "return 1")
    hook.go_on()
    return hoard


def test_who_runs_when_the_condemned_code_has_ended_is_not_blamed(hook: Hook) -> None:
    hoard = hoarder(hook)
    del hoard
    assert outcome(hook, "return 1") == (True, 1)
    # The watchdog has looked before the collection was over.
    hook.doom(hook.pulse, MEMORY)
    assert outcome(hook, "return 1") == (True, 1)


def test_condemned_code_may_end_unseen(hook: Hook) -> None:
    hoard = hoarder(hook)
    del hoard
    hook.doom(hook.pulse, MEMORY)
    assert outcome(hook, "return 1") == (True, 1)


def test_who_keeps_the_memory_is_blamed_next(hook: Hook) -> None:
    hoard = hoarder(hook)
    hook.doom(hook.pulse, MEMORY)
    with pytest.raises(Exception, match=NO_MEMORY):
        outcome(hook, "return 1")
    del hoard
