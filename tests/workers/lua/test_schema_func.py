"""box.schema.func: what differs from Tarantool, and what its answers do not show.

The answers themselves are compared in test_schema_func_facts.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers.engine import Client, Engine, error_of

UNSUPPORTED = "beespace does not support"
IS_MULTIKEY = "options parameter 'is_multikey'"


@pytest.fixture
def client() -> Iterator[Client]:
    with Engine(warm=False) as engine, engine.connect() as client:
        yield client


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ("{takes_raw_args = true}", (5, f"{UNSUPPORTED} functions that take raw arguments")),
        ("{trigger = 'event'}", (5, f"{UNSUPPORTED} created functions as triggers")),
        ("{trigger = {'event'}}", (5, f"{UNSUPPORTED} created functions as triggers")),
        ("{trigger = 5}", (1, "options parameter 'trigger' should be one of types: string, table")),
        ("{opts = {own = 5}}", (1, "unexpected option 'own'")),
        ("{opts = {is_multikey = 5}}", (1, f"{IS_MULTIKEY} should be of type boolean")),
        ("{aggregate = 'foo'}", (50, "Failed to create function 'f': invalid aggregate value")),
        ("{exports = {5}}", (50, "Failed to create function 'f': invalid exports value")),
        ("{param_list = {5}}", (50, "Failed to create function 'f': invalid argument type")),
    ],
)  # fmt: skip
def test_refused(client: Client, options: str, error: tuple[int, str]) -> None:
    assert error_of(client.eval(f"box.schema.func.create('f', {options})")) == error
    assert client.eval("return box.schema.func.exists('f')").data == [False]


@pytest.mark.parametrize(
    "options",
    ["{trigger = {}}", "{takes_raw_args = false}", "{opts = {}}", "{aggregate = 'GROUP'}",
     "{returns = 'datetime'}", "{exports = {}}", "nil"],
)  # fmt: skip
def test_accepted(client: Client, options: str) -> None:
    assert client.eval(f"box.schema.func.create('f', {options})").data == []
    assert client.eval("return box.schema.func.exists('f')").data == [True]


def test_what_the_catalog_keeps(client: Client) -> None:
    client.eval("""
      box.schema.func.create('f', {language = 'lua', is_multikey = true, returns = 'STRING',
        exports = {'lua'}, param_list = {'ANY', 'Map'}, aggregate = 'Group', comment = 'text',
        setuid = true, body = 'function() end', is_sandboxed = true, is_deterministic = true})
    """)
    client.engine.execute("kept = require('beespace.engine.catalog').function_by_name.f")
    names = "{kept.language, kept.returns, kept.exports, kept.param_list, kept.aggregate}"
    assert client.eval(f"return unpack({names})").data == [
        "LUA", "string", ["LUA"], ["any", "map"], "group",
    ]  # fmt: skip
    assert client.eval("return kept.opts, kept.comment, kept.owner, kept.setuid").data == [
        {"is_multikey": True}, "text", 0, True,
    ]  # fmt: skip


def test_the_owner_is_the_effective_user(client: Client) -> None:
    client.eval("box.schema.user.create('own')")
    client.eval("box.schema.user.grant('own', 'super')")
    source = "box.session.su('own', box.schema.func.create, 'f', {setuid = true, body = ...})"
    client.eval(source, "function() return box.session.effective_user() end")
    assert client.call("f").data == ["own"]
    client.eval("box.schema.user.drop('own')")
    assert error_of(client.call("f"))[0] == 33


def test_a_function_calls_others_as_its_owner(client: Client) -> None:
    client.eval("""
      local create = box.schema.func.create
      box.schema.user.create('lim')
      create('inner', {body = 'function() return box.session.effective_user() end'})
      create('outer', {setuid = true, body = 'function() return box.func.inner:call() end'})
      box.schema.user.grant('lim', 'execute', 'function', 'outer')
    """)
    source = "return box.session.su('lim', box.schema.func.call, ...)"
    assert client.eval(source, "outer").data == ["guest"]
    denied = (42, "Execute access to function 'inner' is denied for user 'lim'")
    assert error_of(client.eval(source, "inner")) == denied
