"""The greeting: the 128 bytes every connector parses before it says anything."""

from __future__ import annotations

import base64
import re
import uuid

from tests.helpers.raw import GREETING_SIZE, Raw, ping
from tests.helpers.server import Server


def test_layout(wire_server: Server) -> None:
    with Raw(wire_server.address) as client:
        greeting = client.greeting
    assert len(greeting) == GREETING_SIZE
    found = re.fullmatch(rb"Tarantool (\d+\.\d+\.\d+) \(Binary\) ([0-9a-f-]{36}) *", greeting[:63])
    assert found is not None, greeting[:64]
    assert found[1] == b"2.11.0"
    assert greeting[63:64] == greeting[127:128] == b"\n"
    assert greeting[108:127] == b" " * 19
    assert len(base64.b64decode(greeting[64:108], validate=True)) == 32


def test_uuid_is_the_instance_salt_the_connection(wire_server: Server) -> None:
    with Raw(wire_server.address) as one, Raw(wire_server.address) as two:
        assert one.greeting[:64] == two.greeting[:64]
        assert one.salt != two.salt
        told = one.eval("return tostring(box.info.uuid)").data
        assert told == [one.greeting[:63].split()[3].decode()]
        assert uuid.UUID(told[0]).version == 4


def test_nothing_comes_behind_it(wire_server: Server) -> None:
    with Raw(wire_server.address) as client:
        with Raw(wire_server.address) as witness:
            witness.ping()
        assert client.quiet()
        client.ping()


def test_requests_may_come_before_it_is_read(wire_server: Server) -> None:
    with Raw(wire_server.address, greet=False) as client:
        client.send(ping(1) + ping(2))
        assert client.take(GREETING_SIZE).startswith(b"Tarantool 2.11.0 (Binary) ")
        assert [client.packet().sync for _ in range(2)] == [1, 2]
