"""The stock connector's own requests: login, schema, values of every type, errors."""

from __future__ import annotations

import contextlib
import decimal
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import tarantool

from tests.helpers.server import Server
from tests.whole.connectors import connect


@pytest.fixture
def connection(shared: Server) -> Iterator[Any]:
    with contextlib.closing(connect(shared.address)) as opened:
        yield opened


def test_ping(connection: Any) -> None:
    assert connection.ping(notime=True) == "Success"


def test_function_of_the_application(connection: Any) -> None:
    assert connection.call("hello", "bee").data == ["hello, bee"]


def test_protocol_version_and_features(connection: Any) -> None:
    assert connection._server_protocol_version == 6
    assert sorted(connection._server_features) == [0, 2, 3, 6]


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, False, 0, -1, 2**31, 2**53 + 1, 2**63, 2**64 - 1, -(2**63), 1.5),
        *("", "bee", "\u043d\u0435\u0442", "x" * 70000, b"\xff\x00"),
        *([], {}, [1, [2, [3]]], {"a": {"b": [None]}}),
        *(decimal.Decimal("-12.345"), uuid.UUID("c8f0fa1f-da29-438c-a040-393f1126ad39")),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_values_come_back(connection: Any, value: object) -> None:
    told = connection.call("echo", [value]).data  # a list as only argument is the argument list
    assert told == [value]
    assert type(told[0]) is type(value)


def test_datetime_and_interval_come_back(connection: Any) -> None:
    moment = tarantool.Datetime(year=2022, month=8, day=31, hour=18, nsec=308543321, tzoffset=180)
    span = tarantool.Interval(year=1, month=-2, day=3, sec=-4)
    assert connection.call("echo", moment, span).data == [moment, span]


def test_lua_error(connection: Any) -> None:
    with pytest.raises(tarantool.DatabaseError) as caught:
        connection.eval("error('boom')")
    assert caught.value.args[:2] == (32, "eval:1: boom")


def test_error_with_its_fields(connection: Any) -> None:
    with pytest.raises(tarantool.DatabaseError) as caught:
        connection.eval("box.error{code = 500, reason = 'x', type = 'MyType'}")
    assert caught.value.args[:2] == (500, "x")
    details = caught.value.extra_info
    assert (details.type, details.message, details.errcode) == ("CustomError", "x", 500)
    assert details.fields == {"custom_type": "MyType"}


def test_undefined_function(connection: Any) -> None:
    with pytest.raises(tarantool.DatabaseError, match="Procedure 'nosuch' is not defined"):
        connection.call("nosuch")
    assert connection.ping(notime=True) == "Success"


def test_error_object_as_a_value(connection: Any) -> None:
    told = connection.eval("return box.error.new{code = 1234, reason = 'zz'}").data
    assert (told[0].message, told[0].errcode) == ("zz", 1234)


def test_spaces_are_none(connection: Any) -> None:
    with pytest.raises(tarantool.SchemaError):
        connection.space("nosuch").select()


def test_bad_login(shared: Server) -> None:
    host, port = shared.address
    with pytest.raises(tarantool.error.NetworkError, match="User not found"):
        tarantool.Connection(host, port, user="nosuch", password="x", reconnect_max_attempts=0)
