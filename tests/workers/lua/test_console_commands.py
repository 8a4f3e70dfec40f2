"""Commands of a console: what each answers, and what it changes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.helpers.lua import lua_function, make_runtime

MAKE = """
local commands = require('beespace.engine.console_commands')
require('beespace.engine.table').header = {serving = 4}
c = {delimiter = '', format = {fmt = 'yaml'}, language = 'lua', socket = ...}
local function plain(value)
  if type(value) == 'table' then
    local parts = {}
    for key, each in pairs(value) do parts[#parts + 1] = key .. '=' .. each end
    return table.concat(parts, ' ')
  end
  return tostring(value)
end
return function(text)
  local results = {commands.run(c, text)}
  if results[1] == commands.QUIT then return 'quit' end
  for index, value in ipairs(results) do results[index] = plain(value) end
  return table.concat(results, ' ')
end
"""

Run = Callable[[str], str]


def console(socket: bool = True) -> tuple[Run, Callable[[str], object]]:
    """What runs a command of a new console, and what reads its fields."""
    runtime = make_runtime()
    runtime.execute(f"made = (function(...) {MAKE} end)({str(socket).lower()})")
    function = lua_function(runtime, "return made")

    def run(text: str) -> str:
        return bytes(function(text.encode())).decode()

    def read(name: str) -> object:
        value = runtime.execute(f"return c.{name}")
        return value.decode() if isinstance(value, bytes) else value

    return run, read


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("set", "false Invalid set syntax, type \\help for help"),
        ("s", "false Invalid set syntax, type \\help for help"),
        ("set foo bar", "false Unknown parameter: foo"),
        ("set lan lua", "false Unknown parameter: lan"),
        ("set language", "true language=lua"),
        ("set language lua extra", "true true"),
        ("set lang lua", "true true"),
        ("s l lua", "true true"),
        ("set language php", 'false Invalid language "php", supported languages: lua and sql.'),
        ("set language sql", "false There is no SQL on this server, the language is lua."),
        ("set output", "false Specify output format: lua or yaml."),
        ("set output json", 'false Invalid format "json", supported languages: lua and yaml.'),
        ("set output lua,", 'false Invalid format "lua,", supported languages: lua and yaml.'),
        ("set output a,b", 'false Invalid format "a,b", supported languages: lua and yaml.'),
        ("set output ,lua", 'false Invalid format ",lua", supported languages: lua and yaml.'),
        ("set output lua,foo", 'false Wrong option "foo", expecting: line or block.'),
        ("set o yaml,foo", "true true"),
        ("set delimiter", "true"),
        ("   set\to yaml", "true true"),
        ("set worker", "true worker=own"),
        ("set worker 4", 'false Invalid worker "4", expected a number from 0 to 3, all or own.'),
        ("set w -1", 'false Invalid worker "-1", expected a number from 0 to 3, all or own.'),
        (
            "set worker 1.5",
            'false Invalid worker "1.5", expected a number from 0 to 3, all or own.',
        ),
        (
            "set worker any",
            'false Invalid worker "any", expected a number from 0 to 3, all or own.',
        ),
        ("quit", "quit"),
        (" q now", "quit"),
        ("foo bar", "false Invalid command \\foo bar. Type \\help for help."),
        ("  sets x", "false Invalid command \\  sets x. Type \\help for help."),
        ("Help", "false Invalid command \\Help. Type \\help for help."),
        ("\\", "false Invalid command \\\\. Type \\help for help."),
    ],
)
def test_answers(text: str, answer: str) -> None:
    run, _ = console()
    assert run(text) == answer


@pytest.mark.parametrize("text", ["", "  ", "help", "h", " help me"])
def test_help_names_every_command(text: str) -> None:
    run, _ = console()
    told = run(text)
    assert told.startswith("true 1=This is the console of a beespace server.")
    for command in ("output", "delimiter", "language", "worker"):
        assert f"\n  \\set {command} " in told
    assert "\n  \\help " in told
    assert "\n  \\quit " in told


@pytest.mark.parametrize(
    ("text", "fmt", "opt"),
    [
        ("yaml", "yaml", None),
        ("lua", "lua", None),
        ("lua,block", "lua", "block"),
        ("lua,line,block", "lua", "line"),
    ],
)
def test_output(text: str, fmt: str, opt: str | None) -> None:
    run, read = console()
    run("set output lua,line")
    assert run(f"set output {text}") == "true true"
    assert (read("format.fmt"), read("format.opt")) == (fmt, opt)
    assert run("set output json").startswith("false")
    assert read("format.fmt") == fmt


def test_delimiters() -> None:
    run, read = console()
    assert (run("set delim ; x"), read("delimiter")) == ("true", ";")
    assert (run("set d"), read("delimiter")) == ("true", "")
    assert (run("set d $EOF$"), read("delimiter")) == ("true", "$EOF$")
    refused = "false Can not install delimiter for net box sessions"
    assert (run("set d ;"), read("delimiter")) == (refused, "$EOF$")
    assert (run("set d"), read("delimiter")) == ("true", "")


def test_only_a_console_with_a_socket_has_a_delimiter() -> None:
    run, read = console(socket=False)
    needed = "false console.delimiter(): need existing console"
    assert (run("set delimiter ;"), run("set d"), read("delimiter")) == (needed, needed, "")


def test_workers() -> None:
    run, read = console()
    assert (run("set worker 3"), run("set w"), read("target")) == ("true true", "true worker=3", 3)
    assert (run("set worker all"), read("target")) == ("true true", "all")
    assert (run("set worker 9")[:5], read("target")) == ("false", "all")
    assert (run("set worker own"), read("target")) == ("true true", None)
