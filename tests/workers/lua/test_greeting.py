"""The 128 bytes a client reads first."""

from __future__ import annotations

import base64
import re
import uuid

from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.engine import SALT, Engine

LINE = re.compile(rb"Tarantool 2\.11\.0 \(Binary\) ([0-9a-f-]{36}) +\n")


def test_the_layout(engine: Engine) -> None:
    with engine.connect() as client:
        first, second = client.greeting[:64], client.greeting[64:]
    found = LINE.fullmatch(first)

    assert found is not None
    assert found[1].decode() == str(uuid.UUID(bytes=bytes(engine.segment.header.instance)))
    assert second[44:] == b" " * 19 + b"\n"
    assert base64.b64decode(second[:44], validate=True)[:20] == SALT


@given(salt=st.binary(min_size=20, max_size=20))
def test_any_salt(engine: Engine, salt: bytes) -> None:
    made = engine.execute(
        """
        local ffi = require('ffi')
        local greeting = require('beespace.engine.greeting')
        greeting.salt(ffi.cast('const uint8_t *', ...))
        return ffi.string(greeting.bytes, greeting.SIZE)
        """,
        salt,
    )
    decoded = base64.b64decode(made[64:108], validate=True)

    assert len(made) == 128
    assert (len(decoded), decoded[:20]) == (32, salt)


def test_two_engines_have_their_own_instances(engine: Engine) -> None:
    with Engine(warm=False) as other, other.connect() as theirs, engine.connect() as ours:
        assert theirs.greeting[:64] != ours.greeting[:64]
