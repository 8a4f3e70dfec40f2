"""Maps whose keys collide: reading one is quadratic, and must not cost the worker its life."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator

from tests.helpers.raw import EVAL, Raw, frame, pack
from tests.whole.conftest import Start


def rotate(word: int, count: int) -> int:
    return (word << count | word >> (32 - count)) & 0xFFFFFFFF


def colliding_keys(count: int) -> Iterator[bytes]:
    """Different doubles that LuaJIT puts into the same chain of a hash table."""
    for step in itertools.count(1):
        mixed = step * 2654435761 & 0xFFFFFFFF
        high = rotate(rotate(mixed, 13) ^ mixed, 13)
        low = (mixed + rotate(high, 14) & 0xFFFFFFFF) ^ high
        if high % 2 == 0 and 0x02000000 < high < 0xFF000000:
            yield b"\xcb" + struct.pack(">II", high >> 1, low)
            count -= 1
            if count == 0:
                return


def test_a_map_of_keys_that_collide_takes_no_longer_than_allowed(start: Start) -> None:
    """Quadratic work for the table: it is ended like any other code that runs too long."""
    server = start(workers=1, settings={"limits": {"request_time": 0.3}})
    count = 60_000
    bomb = b"\xdf" + struct.pack(">I", count) + b"\x01".join([*colliding_keys(count), b""])
    with Raw(server.address) as client, Raw(server.address) as witness:
        pid = witness.eval("return box.info.pid").data
        body = b"\x82\x27" + pack("return select('#', ...)") + b"\x21\x91" + bomb
        for sync in range(3):
            client.send(frame(pack({0: EVAL, 1: sync}) + body))
            witness.ping()
            answer = client.packet()
            assert (answer.code, answer.sync) == (32, sync)
            assert "limits.request_time" in answer.text
            client.ping()
        assert witness.eval("return box.info.pid").data == pid
