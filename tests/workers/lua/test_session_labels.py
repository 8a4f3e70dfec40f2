"""box.session.set_name, get_name, set_attr, attrs: kept in the slot, bounded, printable."""

from __future__ import annotations

import pytest

from tests.helpers.engine import SALT, Client, Engine, error_of

TOLD = "local s = box.session return s.get_name(), s.attrs(), s.info().name, s.info().attrs"


def told(client: Client) -> list[object]:
    """Name and attributes, which are the same by both ways."""
    name, attributes, listed_name, listed_attributes = client.eval(TOLD).data
    assert (name, attributes) == (listed_name, listed_attributes)
    return [name, attributes]


def test_none_at_first(client: Client) -> None:
    assert told(client) == [None, {}]


def test_set_changed_and_taken_away(client: Client) -> None:
    assert client.eval("return box.session.set_name('bee')").data == []
    assert told(client) == ["bee", {}]
    assert client.eval("return box.session.set_attr('lib', 'go-tarantool')").data == []
    client.eval("box.session.set_attr('v', '1.2')")
    assert told(client) == ["bee", {"lib": "go-tarantool", "v": "1.2"}]
    client.eval("box.session.set_name('hornet') box.session.set_attr('lib', 'x')")
    assert told(client) == ["hornet", {"lib": "x", "v": "1.2"}]
    client.eval("box.session.set_attr('lib') box.session.set_name(box.NULL)")
    assert told(client) == [None, {"v": "1.2"}]
    client.eval("box.session.set_attr('v', nil) box.session.set_attr('nosuch', nil)")
    assert told(client) == [None, {}]


def test_others_see_them(client: Client) -> None:
    client.eval("box.session.set_name(...) box.session.set_attr('k', 'wörter')", "Bienenkönigin")
    with client.engine.connect() as other:
        source = "local r = box.session.list{name = ...}[1] return r.id, r.name, r.attrs.k"
        assert other.eval(source, "Bienenkönigin").data == [client.id, "Bienenkönigin", "wörter"]
        assert other.eval("return box.session.get_name()").data == [None]


def test_they_go_with_the_session(engine: Engine) -> None:
    for _ in range(2 * engine.segment.capacity):
        with engine.connect() as client:
            assert (client.slot.name_len, client.slot.attrs_len) == (0, 0)
            client.eval("box.session.set_name('x') box.session.set_attr('k', 'v')")


@pytest.mark.parametrize("text", ["ä", "€", "🐝", "\ud7ff", "\ue000", "\u00a0", "~ ", "x" * 60])
def test_texts_that_are_taken(client: Client, text: str) -> None:
    client.eval("box.session.set_name(...)", text)
    assert told(client) == [text, {}]


@pytest.mark.parametrize(
    "text",
    ["'\\n'", "'\\0'", "'a\\127'", "'\\27[31m'", "'\\194\\155'", "'\\255'", "'\\195'", "'\\195('",
     "'\\192\\128'", "'\\224\\128\\128'", "'\\237\\160\\128'", "'\\244\\144\\128\\128'",
     "'\\240\\159\\144'", "'\\226\\130\\195\\169'", "'\\226\\128\\174'", "'a\\226\\128\\168b'",
     "'\\226\\129\\166'", "'\\226\\128\\143'", "'\\216\\156'"],
)  # fmt: skip
def test_texts_that_are_not(client: Client, text: str) -> None:
    size = client.eval(f"return #{text}").data[0]
    for call, name in (
        (f"set_name({text})", "set_name"),
        (f"set_attr({text}, 'v')", "set_attr"),
        (f"set_attr('k', {text})", "set_attr"),
    ):
        expected = f"box.session.{name}: got a text of {size} bytes that is no printable UTF-8"
        assert error_of(client.eval(f"box.session.{call}")) == (1, expected)
    assert told(client) == [None, {}]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("set_name(5)", "got 5, expected a text"),
        ("set_name({})", "got a table, expected a text"),
        ("set_name(('x'):rep(61))", "name and attributes would take 66 bytes, expected 60 at most"),
        ("set_attr()", "got null, expected a text"),
        ("set_attr(1, 'v')", "got 1, expected a text"),
        ("set_attr('k', 1)", "got 1, expected a text"),
        ("set_attr('k', true)", "got true, expected a text"),
        ("set_attr('', 'v')", "got '', expected the name of an attribute"),
        (
            "set_attr('k', ('x'):rep(200))",
            "name and attributes would take 212 bytes, expected 60 at most",
        ),
    ],
)
def test_what_is_refused(client: Client, call: str, text: str) -> None:
    client.eval("box.session.set_name('bee') box.session.set_attr('a', 'b')")
    answer = client.eval(f"box.session.{call}")
    name = call.partition("(")[0]
    assert error_of(answer) == (1, f"box.session.{name}: {text}")
    assert told(client) == ["bee", {"a": "b"}]


def test_without_a_session(engine: Engine, client: Client) -> None:
    source = "return select(2, pcall(box.session.set_name, 'x')).message"
    assert engine.execute(source) == (
        b"box.session.set_name: the running code belongs to no session"
    )
    assert engine.execute("return box.session.get_name(), next(box.session.attrs())") == (
        None,
        None,
    )
    fiber = "require('fiber').new(function() told = {pcall(box.session.set_attr, 'k', 'v')} end)"
    client.eval(fiber)
    assert client.eval("return told[1], told[2].message").data == [
        False, "box.session.set_attr: the running code belongs to no session",
    ]  # fmt: skip


def test_of_a_session_of_another_worker_or_none(engine: Engine, client: Client) -> None:
    number = engine.table.claim(b"p", 1, SALT)
    source = f"""
        local cur = require('beespace.engine.state').cur
        local own = cur.id
        cur.id = {number}
        local ok, raised = pcall(box.session.set_name, 'x')
        cur.id = own
        return raised.message"""
    assert engine.execute(source).decode() == (
        f"box.session.set_name: session {number} can be changed by its own worker only"
    )
    assert number is not None
    engine.table.release(number)
    assert engine.execute(source).decode() == f"box.session.set_name: session {number} has ended"
