"""box.session.settings: names, values, errors, and whose they are."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.helpers.engine import Client, Engine, error_of
from tests.helpers.requests import evaluation

DEFAULTS: Final[dict[str, Any]] = {
    "error_marshaling_enabled": False,
    "sql_default_engine": "memtx",
    "sql_defer_foreign_keys": False,
    "sql_full_column_names": False,
    "sql_full_metadata": False,
    "sql_parser_debug": False,
    "sql_recursive_triggers": True,
    "sql_reverse_unordered_selects": False,
    "sql_select_debug": False,
    "sql_seq_scan": True,
    "sql_vdbe_debug": False,
}
MISSING: Final = "Session setting nosuch doesn't exist"
WRONG: Final = "Session setting {} expected a value of type {}"


def test_all_of_them(client: Client) -> None:
    assert client.eval("return box.session.settings").data == [DEFAULTS]
    assert client.eval("return next(box.session.settings)").data == [None]


@pytest.mark.parametrize("name", DEFAULTS)
def test_reading_and_writing(client: Client, name: str) -> None:
    default = DEFAULTS[name]
    other = "vinyl" if default == "memtx" else not default
    source = "box.session.settings[...] = select(2, ...) return box.session.settings[...]"

    assert client.eval("return box.session.settings[...]", name).data == [default]
    assert client.eval(source, name, other).data == [other]
    assert client.eval("return box.session.settings").data == [{**DEFAULTS, name: other}]


@pytest.mark.parametrize(
    ("source", "code", "text"),
    [
        ("return box.session.settings.nosuch", 32, MISSING),
        ("return box.session.settings[5]", 32, MISSING.replace("nosuch", "5")),
        ("box.session.settings.nosuch = 1", 213, MISSING),
        ("box.session.settings[5] = 1", 213, MISSING.replace("nosuch", "5")),
        (
            "box.session.settings.sql_default_engine = 5",
            *(209, WRONG.format("sql_default_engine", "string")),
        ),
        (
            "box.session.settings.sql_parser_debug = nil",
            *(209, WRONG.format("sql_parser_debug", "boolean")),
        ),
        (
            "box.session.settings.sql_default_engine = 'foo'",
            *(57, "Space engine 'foo' does not exist"),
        ),
    ],
)
def test_errors(client: Client, source: str, code: int, text: str) -> None:
    assert error_of(client.eval(source)) == (code, text)
    assert client.eval("return box.session.settings").data == [DEFAULTS]


def test_they_belong_to_the_session(client: Client, engine: Engine) -> None:
    read = "return box.session.settings.sql_parser_debug"
    client.eval("box.session.settings.sql_parser_debug = true")
    with engine.connect() as other:
        assert other.eval(read).data == [False]
        other.eval("box.session.settings.sql_parser_debug = true")
    with engine.connect() as other:
        assert other.eval(read).data == [False]
    assert client.eval(read).data == [True]


def test_nothing_is_left_of_a_session(engine: Engine) -> None:
    count = """
        local settings = require('beespace.engine.session_settings')
        local _, changed = debug.getupvalue(settings.forget, 1)
        return changed[...] ~= nil
    """
    with engine.connect() as client:
        client.eval("box.session.settings.sql_parser_debug = true")
        assert engine.execute(count, client.id)
    assert not engine.execute(count, client.id)


def test_a_fiber_has_its_own(client: Client) -> None:
    source = """
        local settings, channel = box.session.settings, require('fiber').channel()
        settings.sql_parser_debug = true
        require('fiber').new(function()
          local before = settings.sql_parser_debug
          settings.sql_select_debug = true
          channel:put({before, settings.sql_select_debug})
        end)
        return channel:get(), settings.sql_select_debug
    """
    (answer,) = client.answers(evaluation(1, source), 1)
    assert answer.data == [[False, True], False]


def test_error_objects_as_values(client: Client) -> None:
    source = "box.session.settings.error_marshaling_enabled = ... return box.error.new(33, 'f')"
    text = "Procedure 'f' is not defined"

    assert client.eval(source, False).data == [text]
    assert client.eval(source, True).data != [text]
    assert client.eval("return box.error.new(33, 'f')").data != [text]
    assert client.eval(source, False).data == [text]
