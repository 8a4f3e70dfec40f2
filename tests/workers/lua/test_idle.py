"""Idle timeouts by name: of settings and application, and said at run time in any worker."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping

import pytest

from shm import layout
from shm.segment import Segment
from tests.helpers.lua import make_runtime

SMALL = 64 * 1024
PROGRAM = """
local address, cdef, facts = ...
local shared = require('beespace.engine.table')
shared.declare(cdef, facts)
shared.attach(address, 0)
local events = require('beespace.engine.events')
require('beespace.engine.bus').broadcast = function() end
events.attach()
local principals, numbers = {}, {}
require('beespace.engine.catalog').principals = principals
local idle = require('beespace.engine.idle')
return {
  of = function(name)
    if numbers[name] == nil then
      principals[#principals + 1] = {name = name}
      numbers[name] = #principals
    end
    return idle.of(numbers[name])
  end,
  take = function(text)
    local users = {}
    for name, seconds in text:gmatch('(%w+)=(%d+)') do
      users[name] = {idle_timeout = tonumber(seconds)}
    end
    idle.take(users)
  end,
  set = idle.set, share = idle.share, poll = events.poll, generation = events.generation,
}
"""


class Worker:
    """The timeouts as one worker has them."""

    def __init__(self, segment: Segment, settings: str = "", app: Mapping[str, float] = {}) -> None:
        self._runtime = make_runtime(
            {
                "digest": lambda name, data: hashlib.new(name.decode(), data).digest(),
                "log": lambda *_: None,
            }
        )
        chunk = self._runtime.execute("return assert(loadstring(...))", PROGRAM.encode())
        facts = "".join(f"{a} {b} {c}\n" for a, b, c in layout.facts()).encode()
        self._api = self._runtime.call(chunk, segment.address, layout.cdef().encode(), facts)
        self.take(settings)
        for name, seconds in app.items():
            self.set(name, seconds)
        self._call("share")

    def _call(self, name: str, *arguments: object) -> object:
        return self._runtime.call(self._api[name.encode()], *arguments)

    def take(self, settings: str) -> None:
        self._call("take", settings.encode())

    def set(self, name: str | None, seconds: float | None = None) -> str | None:
        """None, or why it was not stored."""
        found = self._call("set", None if name is None else name.encode(), seconds)
        return None if found is True else found[1].decode()  # type: ignore[index]

    def poll(self) -> None:
        self._call("poll")

    def of(self, *names: str) -> list[object]:
        return [self._call("of", name.encode()) for name in names]


@pytest.fixture
def segment(segment_name: str) -> Iterator[Segment]:
    made = Segment.create(segment_name, 8, 2, SMALL)
    yield made
    made.close()


@pytest.fixture
def start(segment: Segment) -> Callable[..., Worker]:
    return lambda *arguments, **options: Worker(segment, *arguments, **options)


def test_others_know_at_once_and_those_that_start_later(start: Callable[..., Worker]) -> None:
    one, other = start("ann=5"), start("ann=5")
    assert one.of("ann", "bob") == other.of("ann", "bob") == [5, 0]
    one.set("bob", 0.5)
    one.set("ann", 7)
    assert one.of("ann", "bob") == other.of("ann", "bob") == [7, 0.5]
    other.set("bob", 0)
    assert one.of("ann", "bob") == start("ann=5").of("ann", "bob") == [7, 0]


def test_what_was_polled_meanwhile_counts(start: Callable[..., Worker]) -> None:
    one, other = start(), start()
    one.set("bob", 3)
    one.poll()
    other.poll()
    assert one.of("bob") == other.of("bob") == [3]


def test_all_are_dropped_for_all(start: Callable[..., Worker]) -> None:
    one, other = start("ann=5"), start("ann=5", {"carl": 6})
    other.set("bob", 3)
    one.set(None)
    assert one.of("ann", "bob", "carl") == other.of("ann", "bob", "carl") == [0, 0, 0]
    one.set("bob", 4)
    late = start("ann=5", {"carl": 6})
    assert late.of("ann", "bob", "carl") == other.of("ann", "bob", "carl") == [0, 4, 0]


def test_settings_take_the_place_of_what_was_said(start: Callable[..., Worker]) -> None:
    one, slow = start("ann=5"), start("ann=5")
    one.set("bob", 3)
    one.set(None)
    one.take("ann=8")
    assert one.of("ann", "bob") == start("ann=8").of("ann", "bob") == [8, 0]
    # What those say who have not heard of the change yet holds for them, as long as that lasts.
    slow.set("bob", 4)
    assert slow.of("ann", "bob") == [5, 4]
    assert one.of("ann", "bob") == [8, 0]
    one.set("bob", 9)
    slow.take("ann=8")
    assert one.of("ann", "bob") == slow.of("ann", "bob") == [8, 9]
    # Nothing of the first settings comes back with them.
    for worker in (one, slow):
        worker.take("ann=5")
    assert one.of("ann", "bob") == slow.of("ann", "bob") == [5, 0]


def test_an_application_says_it_in_each_worker(start: Callable[..., Worker]) -> None:
    one, other = start("ann=5", {"bob": 2, "ann": 1}), start("ann=5")
    assert one.of("ann", "bob") == [1, 2]
    assert other.of("ann", "bob") == [5, 0]
    other.set("bob", 9)
    assert one.of("ann", "bob") == [1, 9]


def test_too_many_names_are_refused(start: Callable[..., Worker]) -> None:
    worker = start()
    why = None
    for number in range(2000):
        why = worker.set(f"user {number}", 1)
        if why is not None:
            break
    assert why is not None
    assert "events.memory" in why
    assert number > 100
    assert worker.of("user 0", f"user {number - 1}") == [1, 1]
