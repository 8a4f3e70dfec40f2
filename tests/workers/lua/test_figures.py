"""What a batch comes to in the figures of its session and of its worker."""

from __future__ import annotations

from tests.helpers.engine import Engine
from tests.helpers.raw import CALL, EVAL, ping, request


def test_each_kind_is_counted_once(engine: Engine) -> None:
    names = ("requests", "pings", "calls", "evals", "errors", "protocol_errors")
    with engine.connect() as client:
        before = [getattr(engine.row, name) for name in names]
        client.exchange(
            ping(1)
            + request({0: CALL, 1: 2}, {0x22: "tostring", 0x21: [1]})
            + request({0: CALL, 1: 3}, {0x22: "nosuch", 0x21: []})
            + request({0: EVAL, 1: 4}, {0x27: "return 1", 0x21: []})
        )
        after = [getattr(engine.row, name) for name in names]

        assert [b - a for a, b in zip(before, after, strict=True)] == [4, 1, 2, 1, 1, 0]
        assert client.slot.requests == 4


BUSY = """
local clock, begun = require('clock').monotonic, require('clock').monotonic()
repeat until clock() > begun + ... return begun"""


def test_the_last_request_is_as_late_as_its_end(engine: Engine) -> None:
    with engine.connect() as client:
        begun = client.eval(BUSY, 0.05).data[0]
        # The coarse clock is a few milliseconds behind.
        assert client.slot.last_request > begun + 0.03
