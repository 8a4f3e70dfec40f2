"""What is measured, as data: a request, made from what a connection knows of itself, and a check.

``bench.client`` makes the batches of a round from a scenario; the command line lists them by name.
A scenario knows nothing of servers, sockets or time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from bench import packets

CPU_TARGET_MICROSECONDS: Final = 100
"""How long one call of the ``cpu`` scenario runs."""

SLEEP_SECONDS: Final = 0.001
"""How long one call of the ``sleep`` scenario waits in its fiber."""

_MAP: Final = "return {id = 1, name = 'bee', ready = true}"


@dataclass(frozen=True)
class Facts:
    """What the client knows before it makes a connection's requests."""

    session_id: int
    peer: str | None
    """Address of the client's end as the server should print it; None when it cannot be known."""
    cpu_turns: int
    cpu_result: int


@dataclass(frozen=True)
class Scenario:
    """One kind of request."""

    name: str
    summary: str
    kind: int
    body: Callable[[Facts], Mapping[int, Any]]
    accepts: Callable[[Facts, Any], bool]
    """Is this the right result (the data of the answer)?"""


def _call(function: str, *arguments: Any) -> Mapping[int, Any]:
    return {packets.KEY_FUNCTION: function, packets.KEY_TUPLE: list(arguments)}


def _is_peer(facts: Facts, data: Any) -> bool:
    if facts.peer is None:
        return len(data) == 1 and isinstance(data[0], str) and data[0] != ""
    return bool(data == [facts.peer])


_ALL: Final = (
    Scenario(
        "ping",
        "PING",
        packets.TYPE_PING,
        lambda _: {},
        lambda _, data: not data,
    ),
    Scenario(
        "id",
        "CALL box.session.id",
        packets.TYPE_CALL,
        lambda _: _call("box.session.id"),
        lambda facts, data: data == [facts.session_id],
    ),
    Scenario(
        "exists",
        "CALL box.session.exists, of the own session",
        packets.TYPE_CALL,
        lambda facts: _call("box.session.exists", facts.session_id),
        lambda _, data: data in ([1], [True]),
    ),
    Scenario(
        "peer",
        "CALL box.session.peer, of the own session",
        packets.TYPE_CALL,
        lambda _: _call("box.session.peer"),
        _is_peer,
    ),
    Scenario(
        "eval",
        "EVAL 'return ...' with one argument",
        packets.TYPE_EVAL,
        lambda _: {packets.KEY_EXPRESSION: "return ...", packets.KEY_TUPLE: [1]},
        lambda _, data: data == [1],
    ),
    Scenario(
        "call",
        "CALL of a function with three arguments",
        packets.TYPE_CALL,
        lambda _: _call("math.max", 1, 3, 2),
        lambda _, data: data == [3],
    ),
    Scenario(
        "map",
        "EVAL whose result is a map of three keys",
        packets.TYPE_EVAL,
        lambda _: {packets.KEY_EXPRESSION: _MAP, packets.KEY_TUPLE: []},
        lambda _, data: data == [{"id": 1, "name": "bee", "ready": True}],
    ),
    Scenario(
        "cpu",
        f"CALL of a Lua function that computes for {CPU_TARGET_MICROSECONDS} us",
        packets.TYPE_CALL,
        lambda facts: _call("bench_cpu", facts.cpu_turns),
        lambda facts, data: data == [facts.cpu_result],
    ),
    Scenario(
        "mixed",
        "CALL of a Lua function that returns at once, each tenth time after 5 ms",
        packets.TYPE_CALL,
        lambda _: _call("bench_mixed"),
        lambda _, data: data == [True],
    ),
    Scenario(
        "sleep",
        f"CALL of a Lua function whose fiber sleeps {SLEEP_SECONDS:g} s",
        packets.TYPE_CALL,
        lambda _: _call("bench_sleep", SLEEP_SECONDS),
        lambda _, data: data == [SLEEP_SECONDS],
    ),
)

SCENARIOS: Final[Mapping[str, Scenario]] = MappingProxyType({each.name: each for each in _ALL})
