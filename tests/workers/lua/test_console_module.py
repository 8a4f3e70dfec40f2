"""Module console: eval over a binary session, its formats, and what is not to be had."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers.engine import Client, Engine, error_of

EVAL = "return require('console').eval(...)"


@pytest.fixture
def used(engine: Engine, client: Client) -> Iterator[Client]:
    """A session whose code runs as that of a console, `c`."""
    engine.execute(
        """
        local fibers = require('beespace.engine.fibers')
        c = require('beespace.engine.console').new(true)
        function within(source, ...)
          local record, chunk, arguments = fibers.current(), loadstring(source), {...}
          record.console = c
          local results = {pcall(chunk, ...)}
          record.console = nil
          return unpack(results, 2, table.maxn(results))
        end
        """
    )
    yield client
    engine.execute("c, within = nil, nil")


def within(client: Client, source: str, *arguments: object) -> list[object]:
    return client.call("within", source, *arguments).data


def test_what_clients_send(client: Client) -> None:
    assert client.eval(EVAL, "return true").data == ["---\n- true\n...\n"]
    assert client.eval(EVAL, "1, 2").data == ["---\n- 1\n- 2\n...\n"]
    assert client.eval(EVAL, "error('x', 0)").data == ["---\n- error: x\n...\n"]
    assert client.eval(EVAL, "foo bar").data[0].startswith('---\n- error: \'[string "foo bar"]')
    assert client.eval(EVAL, "").data == ["---\n...\n"]
    assert client.eval(EVAL, "\\quit").data == []
    assert client.eval(EVAL).data == client.eval(EVAL, None).data == [None]
    assert client.eval(EVAL, "1").data == ["---\n- 1\n...\n"]


def test_a_line_is_a_text(client: Client) -> None:
    assert error_of(client.eval(EVAL, 5)) == (32, "Usage: console.eval(line)")


def test_the_default_output_takes_no_arguments(client: Client) -> None:
    source = "return require('console').get_default_output(1)"
    assert error_of(client.eval(source)) == (32, "Arguments provided while prohibited")


def test_the_format_is_the_sessions(engine: Engine, client: Client) -> None:
    with engine.connect() as other:
        assert client.eval(EVAL, "\\set output lua,block").data == ["true;"]
        assert client.eval(EVAL, "{1}").data == ["{\n  1\n};"]
        assert other.eval(EVAL, "{1}").data == ["---\n- - 1\n...\n"]
        assert client.eval(EVAL, "require('console').eval('1')").data == ['"1;";']
    assert client.eval(EVAL, "\\set output yaml").data == ["---\n- true\n...\n"]


def test_nothing_is_kept_of_a_session_that_ended(engine: Engine) -> None:
    first = """
        local of_session = require('beespace.engine.console').of_session
        for index = 1, 9 do
          local name, value = debug.getupvalue(of_session, index)
          if name == 'of_sessions' then return next(value) end
        end
        error('there is no such table')"""
    with engine.connect() as client:
        client.eval(EVAL, "\\set output lua")
        assert engine.execute(first)[0] == client.id
    assert engine.execute(first) is None


def test_a_session_has_no_delimiter(client: Client) -> None:
    needed = (32, "console.delimiter(): need existing console")
    for source in ("require('console').delimiter(';')", "require('console').delimiter()"):
        assert error_of(client.eval(source)) == needed
    assert needed[1] in client.eval(EVAL, "\\set delimiter ;").data[0]
    assert needed[1] in client.eval(EVAL, "require('console').delimiter()").data[0]


def test_a_console_has_one(used: Client) -> None:
    delimiter = "return require('console').delimiter(...)"
    assert within(used, delimiter) == [""]
    assert within(used, delimiter, ";") == []
    assert within(used, delimiter) == [";"]
    assert within(used, delimiter, 5) == ["invalid delimiter"]
    assert within(used, delimiter, "") == []
    assert within(used, delimiter) == [""]


def test_eval_in_a_console_is_that_console(engine: Engine, used: Client) -> None:
    assert within(used, EVAL, "\\set output lua") == ["true;"]
    assert within(used, EVAL, "\\set delimiter ;") == [";"]
    assert engine.execute("return c.format.fmt, c.delimiter") == (b"lua", b";")
    assert used.eval(EVAL, "1").data == ["---\n- 1\n...\n"]


def test_ends_of_answers(client: Client) -> None:
    eos = "return require('console').eos(...)"
    assert client.eval(eos).data == ["\n...\n"]
    assert error_of(client.eval(eos, "x")) == (32, "console.eos(): is immutable for output yaml")
    client.eval(EVAL, "\\set output lua")
    assert client.eval(eos).data == [";"]
    assert client.eval(eos, "!").data == []
    assert client.eval(EVAL, "1").data == ["1!"]
    assert error_of(client.eval(eos, 5)) == (32, "Usage: console.eos([text])")


def test_the_default_is_for_consoles_to_come(engine: Engine, client: Client) -> None:
    default = "return require('console').get_default_output()"
    change = "return require('console').set_default_output(...)"
    assert client.eval(default).data == [{"fmt": "yaml"}]
    assert client.eval(EVAL, "1").data == ["---\n- 1\n...\n"]
    assert client.eval(change, "lua,block").data == []
    try:
        assert client.eval(default).data == [{"fmt": "lua", "opts": "block"}]
        assert client.eval(EVAL, "1").data == ["---\n- 1\n...\n"]
        with engine.connect() as later:
            assert later.eval(EVAL, "{1}").data == ["{\n  1\n};"]
    finally:
        client.eval(change, "yaml")


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        (None, "Nil output value passed"),
        ("foo", 'Invalid format "foo", supported languages: lua and yaml.'),
        ("lua,foo", 'Wrong option "foo", expecting: line or block.'),
        ({"fmt": "lua"}, "Usage: console.set_default_output('yaml')"),
    ],
)
def test_wrong_defaults(client: Client, argument: object, told: str) -> None:
    change = "return require('console').set_default_output(...)"
    assert error_of(client.eval(change, argument)) == (32, told)


def test_completion_is_a_list_or_nothing(client: Client) -> None:
    complete = "return require('console').completion_handler(...)"
    assert client.eval(complete, "whi", 0, 3).data == [["while ", "while "]]
    assert client.eval(complete, "1x", 0, 2).data == []
    found = client.eval(complete, "box.session.on_", 0, 15).data[0]
    assert found[0] == "box.session.on_"
    assert {"box.session.on_connect(", "box.session.on_auth("} <= set(found[1:])


def test_keys_are_those_of_tarantool(client: Client) -> None:
    keys = "local k = {} for n in pairs(require('console')) do k[#k + 1] = n end return k"
    assert sorted(client.eval(keys).data[0]) == (
        "ac completion_handler connect delimiter eos eval get_default_output listen"
        " on_client_disconnect on_start set_default_output start"
    ).split(" ")
    assert client.eval("return require('console').ac(false)").data == []


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("connect('127.0.0.1:3301')", "run `beespace connect [URI]`"),
        ("listen(3302)", "name the URI in the setting console.listen"),
        ("start()", "run `beespace connect [URI]`"),
        ("on_start(print)", "see box.session.on_connect"),
        ("on_client_disconnect(print)", "see box.session.on_disconnect"),
        ("on_start(5)", "Wrong type of on_start hook: number"),
        ("on_client_disconnect(5)", "Wrong type of on_client_disconnect hook: number"),
    ],
)
def test_what_is_not_to_be_had_is_told(client: Client, call: str, told: str) -> None:
    code, text = error_of(client.eval(f"require('console').{call}"))
    assert code == 32
    assert told in text
    assert client.eval("require('console').on_start()").data == []


def test_the_global_help(client: Client) -> None:
    (text,) = client.eval("return help[1]").data
    assert client.eval("return help('x') == help and help()[1]").data == [text]
    assert "\\set worker" in client.eval(EVAL, "help").data[0]
    assert client.eval(EVAL, "help()").data == client.eval(EVAL, "\\help").data


def test_statements_for_other_workers_go_there(engine: Engine, client: Client) -> None:
    engine.execute(
        """
        local console = require('beespace.engine.console')
        local before = console.elsewhere
        function console.elsewhere(c, line)
          if line == 'fail' then error('no way', 0) end
          return c.target .. ' runs ' .. line
        end
        function put_back() console.elsewhere, put_back = before, nil end
        """
    )
    try:
        assert client.eval(EVAL, "\\set worker all").data == ["---\n- true\n...\n"]
        assert client.eval(EVAL, "1").data == ["all runs 1"]
        assert client.eval(EVAL, "fail").data == ["---\n- error: no way\n...\n"]
        assert client.eval(EVAL, "\\set worker own").data == ["---\n- true\n...\n"]
        assert client.eval(EVAL, "1").data == ["---\n- 1\n...\n"]
    finally:
        engine.execute("put_back()")
