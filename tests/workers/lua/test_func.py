"""box.func: objects of created functions, and how they follow the catalog."""

from __future__ import annotations

from collections.abc import Iterator

import msgpack
import pytest

from tests.helpers.engine import Client, Engine, error_of

SETUP = """
local create = box.schema.func.create
create('add', {body = 'function(a, b) return a + b end', comment = 'adds', is_deterministic = true})
create('defined', {setuid = true})
create('in_c', {language = 'C', exports = {'LUA', 'SQL'}})
"""


@pytest.fixture
def client() -> Iterator[Client]:
    with Engine(warm=False) as engine, engine.connect() as client:
        client.eval(SETUP)
        yield client


def test_what_an_object_shows(client: Client) -> None:
    common = {
        "aggregate": "none", "is_deterministic": False, "is_multikey": False, "returns": "any",
        "setuid": False, "exports": {"lua": True, "sql": False},
    }  # fmt: skip
    body = "function(a, b) return a + b end"
    add = {"id": 1, "name": "add", "language": "LUA", "body": body, "is_sandboxed": False}
    found = client.eval("return box.func.add, box.func.defined, box.func.in_c").data
    assert found == [
        common | add | {"comment": "adds", "is_deterministic": True},
        common | {"id": 2, "name": "defined", "language": "LUA", "setuid": True},
        common | {"id": 3, "name": "in_c", "language": "C", "exports": {"lua": True, "sql": True}},
    ]


def test_by_name_and_by_number(client: Client) -> None:
    assert client.eval("return box.func[1] == box.func.add, box.func[1].name").data == [True, "add"]
    assert client.eval("return box.func.nosuch, box.func[7]").data == [None, None]
    source = """
      local names = {}
      for key, each in pairs(box.func) do names[#names + 1] = key .. each.name end
      table.sort(names)
      return table.concat(names, ' ')
    """
    assert client.eval(source).data == ["1add 2defined 3in_c addadd defineddefined in_cin_c"]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("box.func.add:call(1, 2)", "Use func:call(table)"),
        ("box.func.add.call({1, 2})", "Use func:call(...) instead of func.call(...)"),
        ("box.func.add.call()", "Use func:call(...) instead of func.call(...)"),
        ("box.func.add.drop()", "Use func:drop(...) instead of func.drop(...)"),
    ],
)
def test_wrong_use(client: Client, source: str, text: str) -> None:
    assert error_of(client.eval(source)) == (32, f"eval:1: {text}")


def test_call_and_drop(client: Client) -> None:
    assert client.eval("return box.func.add:call({1, 2})").data == [3]
    assert error_of(client.eval("box.func.defined:call()"))[0] == 33
    client.eval("function defined(...) return box.session.effective_user(), ... end")
    assert client.eval("return box.func.defined:call({box.NULL, 2})").data == ["guest", None, 2]
    client.eval("old = box.func.add old:drop()")
    gone = (51, "Function 'add' does not exist")
    assert client.eval("return box.func.add, box.func[1]").data == [None, None]
    assert error_of(client.eval("old:call({1, 2})")) == gone
    assert error_of(client.eval("old:drop()")) == gone


def test_call_checks_rights(client: Client) -> None:
    client.eval("box.schema.user.create('lim')")
    source = "return box.session.su('lim', function() return box.func.add:call({1, 2}) end)"
    denied = (42, "Execute access to function 'add' is denied for user 'lim'")
    assert error_of(client.eval(source)) == denied
    client.eval("box.schema.user.grant('lim', 'execute', 'function', 'add')")
    assert client.eval(source).data == [3]


def test_it_follows_other_workers(client: Client) -> None:
    catalog = client.engine.catalog
    source = "object = box.func.add"
    client.eval(source)
    catalog.change(b"create_function", msgpack.packb([1, "new", {}]))
    assert client.eval("return box.func.new.id, box.func.add == object").data == [4, True]
    catalog.change(b"drop_function", msgpack.packb(["new"]))
    client.eval("box.schema.user.exists('admin')")
    assert client.eval("return box.func.new").data == [None]


def test_what_an_application_puts_there_stays(client: Client) -> None:
    client.eval("box.func.own = 5 box.func.add = 6 box.schema.func.drop('add')")
    assert client.eval("return box.func.own, box.func.add, box.func[1]").data == [5, 6, None]
