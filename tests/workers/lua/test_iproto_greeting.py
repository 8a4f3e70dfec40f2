"""Greetings for applications: box.iproto.encode_greeting and decode_greeting."""

from __future__ import annotations

import base64
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.engine import Client, Engine
from tests.helpers.lua import lua_function

UUID = "6213b5ba-ea92-43eb-9c19-7933ca2fe1e7"
ENCODE = "return pcall(box.iproto.encode_greeting, ...)"
DECODE = "return pcall(box.iproto.decode_greeting, ...)"
PARTS = "local g = box.iproto.decode_greeting(...) return g.version, g.uuid, #g.salt"
USAGE = "Usage: box.iproto.encode_greeting({version = x, uuid = x, salt = x})"


def test_everything_given(client: Client) -> None:
    options = {"version": "2.6.0-77-gdeadbeef", "uuid": UUID.upper(), "salt": "x" * 40}
    ok, text = client.eval(ENCODE, options).data
    assert ok
    first, second = text[:64], text[64:]
    assert first == f"Tarantool 2.6.0 (Binary) {UUID}".ljust(63) + "\n"
    assert second == base64.b64encode(b"x" * 40).decode().ljust(63) + "\n"
    assert client.eval(DECODE, text).data == [
        True,
        {"version": "2.6.0", "protocol": "Binary", "uuid": UUID, "salt": "x" * 40},
    ]


def test_nothing_given(client: Client) -> None:
    for source in ("return box.iproto.encode_greeting()", "return box.iproto.encode_greeting({})"):
        (text,) = client.eval(source).data
        assert len(text) == 128
        version, instance, size = client.eval(PARTS, text).data
        assert (version, size) == ("2.11.0", 32)
        assert uuid.UUID(instance).version == 4


def test_the_greeting_of_the_server(client: Client) -> None:
    ok, fields = client.eval(DECODE, client.greeting.decode()).data
    assert ok
    assert fields["uuid"] == str(uuid.UUID(bytes=bytes(client.engine.segment.header.instance)))
    assert fields["salt"].encode("utf-8", "surrogateescape")[:20] == bytes(range(20))


def test_another_protocol(client: Client) -> None:
    text = "Tarantool 2.6.0 (Lua console)".ljust(63) + "\n" + "type 'help'".ljust(63) + "\n"
    assert client.eval(DECODE, text).data == [
        True,
        {
            "version": "2.6.0",
            "protocol": "Lua console",
            "uuid": "00000000-0000-0000-0000-000000000000",
            "salt": "",
        },
    ]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([123], USAGE),
        (["foo"], USAGE),
        ([{}, 123], USAGE),
        ([{"version": 123}], "version must be a string"),
        ([{"version": "foo"}], "cannot parse version string"),
        ([{"version": "1.2"}], "cannot parse version string"),
        ([{"version": "100.200.300"}], "cannot parse version string"),
        ([{"uuid": 123}], "uuid must be a string"),
        ([{"uuid": "foo"}], "cannot parse uuid string"),
        ([{"salt": 123}], "salt must be a string"),
        ([{"salt": "x" * 45}], "salt string length cannot be greater than 44"),
    ],
)
def test_errors_of_encode(client: Client, arguments: list[object], text: str) -> None:
    assert client.eval(ENCODE, *arguments).data == [False, text]


GOOD = f"Tarantool 2.6.0 (Binary) {UUID}".ljust(63) + "\n" + "eHh4".ljust(63) + "\n"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([123], "Usage: box.iproto.decode_greeting(string)"),
        ([], "Usage: box.iproto.decode_greeting(string)"),
        (["foo", 123], "Usage: box.iproto.decode_greeting(string)"),
        (["foo"], "greeting length must equal 128"),
        ([GOOD + " "], "greeting length must equal 128"),
        ([" " * 128], "cannot parse greeting string"),
        ([GOOD.replace("\n", " ")], "cannot parse greeting string"),
        ([GOOD[:127] + " "], "cannot parse greeting string"),
        ([GOOD.replace("T", "t", 1)], "cannot parse greeting string"),
        ([GOOD.replace("2.6.0", "2x6.0")], "cannot parse greeting string"),
        ([GOOD.replace("ea92", "eg92")], "cannot parse greeting string"),
        ([GOOD.replace("(Binary)", "(Binary ")], "cannot parse greeting string"),
        ([GOOD.replace("eHh4", "e-h4")], "cannot parse greeting string"),
    ],
)
def test_errors_of_decode(client: Client, arguments: list[object], text: str) -> None:
    assert client.eval(DECODE, *arguments).data == [False, text]


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=44))
def test_a_salt_comes_back(engine: Engine, salt: bytes) -> None:
    turn = lua_function(
        engine.runtime,
        """return function(salt)
          local iproto = require('beespace.box.iproto')
          return iproto.decode_greeting(iproto.encode_greeting({salt = salt})).salt
        end""",
    )
    assert turn(salt) == salt
