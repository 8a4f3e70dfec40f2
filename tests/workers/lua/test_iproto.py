"""box.iproto: arguments of override, and export."""

from __future__ import annotations

import pytest

from tests.helpers.engine import Client, error_of
from tests.helpers.raw import CALL, CALL_16, request

LISTEN = """
bridge = require('beespace.bridge')
heard = {log = bridge.log}
bridge.log = function(level, text) heard[1], heard[2] = level, text end
"""


# override ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("", "Usage: box.iproto.override(request_type, callback)"),
        ("nil, print", "Usage: box.iproto.override(request_type, callback)"),
        ("{}, print", "bad argument #1 to 'override' (number or string expected, got table)"),
        ("1ULL, print", "bad argument #1 to 'override' (number or string expected, got cdata)"),
        ("0, 'str'", "bad argument #2 to 'override' (function expected, got string)"),
        ("'ping', {}", "bad argument #2 to 'override' (function expected, got table)"),
    ],
)
def test_argument_errors(client: Client, arguments: str, text: str) -> None:
    answer = client.eval(f"box.iproto.override({arguments})")
    assert error_of(answer) == (32, text)
    assert answer.stack[0][0] == "ClientError"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("65", "`JOIN'"),
        ("'subscribe'", "`SUBSCRIBE'"),
        ("box.iproto.type.FETCH_SNAPSHOT", "`FETCH_SNAPSHOT'"),
        ("'Register'", "`REGISTER'"),
        ("'nosuch'", "'nosuch'"),
        ("'type_error'", "'type_error'"),
        ("-2", "'-2'"),
        ("2^32", "'4294967296'"),
        ("0/0", "nan"),
    ],
)
def test_types_that_cannot_be_overridden(client: Client, kind: str, words: str) -> None:
    client.engine.execute(LISTEN)
    assert client.eval(f"box.iproto.override({kind}, function() return true end)").data == []
    level, text = client.engine.execute("bridge.log = heard.log return heard[1], heard[2]")
    assert level == b"crit"
    assert words in text.decode()
    (answer,) = client.exchange(request({0: 65, 1: 1}))
    assert error_of(answer) == (48, "Unknown request type 65")


# export ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [CALL, CALL_16])
@pytest.mark.parametrize("name", ["exp", "exp.deep.name", "a b", "exp:method", "", "x" * 300])
def test_exported_functions(client: Client, name: str, kind: int) -> None:
    source = "local v, k = ... box.iproto.export(v .. k, function(...) return v .. k, ... end)"
    full = name + str(kind) if name else name
    if not name:
        client.eval("pcall(box.iproto.export, '', function(...) return '', ... end)")
    else:
        assert client.eval(source, name, str(kind)).data == []
    for _ in range(3):
        (answer,) = client.exchange(request({0: kind, 1: 1}, {0x22: full, 0x21: [1]}))
        assert answer.data == ([full, 1] if kind == CALL else [[full], [1]])


def test_an_exported_function_comes_before_a_global(client: Client) -> None:
    client.eval("both = {name = function() return 'global' end}")
    assert client.call("both.name").data == ["global"]
    client.eval("box.iproto.export('both.name', function() return 'exported' end)")
    for _ in range(3):
        assert client.call("both.name").data == ["exported"]
    assert client.eval("return both.name()").data == ["global"]
    assert client.call("both.nosuch").code == 33


def test_it_stays_when_its_place_is_taken(client: Client) -> None:
    """Names of the same length, first, middle and last byte share a place in the cache."""
    client.eval("box.iproto.export('place_1_of', function() return 'exported' end)")
    client.eval("place_2_of = function() return 'global' end")
    for _ in range(3):
        assert client.call("place_1_of").data == ["exported"]
        assert client.call("place_2_of").data == ["global"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ("10, 20", (1, "function name should be a string")),
        ("'foo', 20", (1, "function object should be a function")),
        ("'foo'", (1, "function object should be a function")),
        ("'taken', print", (52, "Function 'taken' already exists")),
    ],
)
def test_errors_of_export(client: Client, arguments: str, error: tuple[int, str]) -> None:
    client.eval("pcall(box.iproto.export, 'taken', tostring)")
    assert error_of(client.eval(f"box.iproto.export({arguments})")) == error
