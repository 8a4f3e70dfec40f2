"""The level of the log as applications set it: log.level, log.cfg, box.cfg.log_level."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers.engine import Client, Engine, error_of

CFG = 59
LEVELS = "return require('log').level(), box.cfg.log_level, require('log').cfg.level"
EXPECTED = "crit,warn,info,debug,syserror,verbose,fatal,error"


@pytest.fixture(autouse=True)
def _told(engine: Engine) -> Iterator[None]:
    """``told`` has what all processes are to be told."""
    engine.execute("""
        told, bridge = {}, require('beespace.bridge')
        adjust, bridge.adjust = bridge.adjust, function(...) told[#told + 1] = {...} end
    """)
    yield
    engine.execute("bridge.adjust = adjust require('beespace.engine.levels').take('info')")


def told(engine: Engine) -> list[str]:
    text = engine.execute(
        "local list = {} for i, each in ipairs(told) do list[i] = each[1] .. '=' .. each[2] end"
        " return table.concat(list, ' ')"
    )
    return str(text.decode()).split()


def test_the_level_at_the_start(client: Client) -> None:
    assert client.eval(LEVELS).data == [5, 5, 5]
    assert client.eval("return box.cfg.log_format, require('log').cfg").data == [
        "plain",
        {"level": 5, "format": "plain"},
    ]


@pytest.mark.parametrize(
    ("source", "shown", "name"),
    [
        ("require('log').level(7)", [7, 7, 7], "debug"),
        ("require('log').level('debug')", [7, 7, 7], "debug"),
        ("require('log').cfg{level = 'warn', format = 'plain'}", [4, 4, 4], "warn"),
        ("box.cfg{log_level = 6}", [6, 6, 6], "verbose"),
        # As in Tarantool box.cfg shows what it was given.
        ("box.cfg{log_level = 'warn'}", [4, "warn", 4], "warn"),
        ("box.cfg{log_level = 99}", [7, 99, 7], "debug"),
        ("box.cfg{log_level = 'syserror'}", [2, "syserror", 2], "error"),
    ],
)
def test_all_processes_are_told(
    engine: Engine, client: Client, source: str, shown: list[object], name: str
) -> None:
    assert error_of(client.eval(source)) == (0, "")
    assert client.eval(LEVELS).data == shown
    assert told(engine) == [f"log.level={name}"]


def test_what_others_have_set_is_told_nobody(engine: Engine, client: Client) -> None:
    engine.apply({"log.level": "verbose"})
    assert client.eval(LEVELS).data == [6, 6, 6]
    assert told(engine) == []


def test_what_is_so_already_is_told_nobody(engine: Engine, client: Client) -> None:
    assert client.eval("box.cfg{log_level = 5, log_format = 'plain'}").data == []
    assert told(engine) == []


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("'loud'", f"expected {EXPECTED}"),
        ("'5'", f"expected {EXPECTED}"),
        ("{}", "must be a number or a string"),
        ("true", "must be a number or a string"),
        ("0/0", "must be a number or a string"),
    ],
)
def test_a_wrong_level_for_box_cfg(engine: Engine, client: Client, value: str, why: str) -> None:
    text = f"Incorrect value for option 'log_level': {why}"
    assert error_of(client.eval(f"box.cfg{{log_level = {value}}}")) == (CFG, text)
    assert client.eval(LEVELS).data == [5, 5, 5]
    assert told(engine) == []


def test_one_wrong_option_changes_nothing(engine: Engine, client: Client) -> None:
    assert error_of(client.eval("box.cfg{log_level = 7, work_dir = '/'}"))[0] == CFG
    assert error_of(client.eval("box.cfg{log_level = 7, log_format = 'json'}"))[0] == CFG
    assert client.eval(LEVELS).data == [5, 5, 5]
    assert told(engine) == []


def test_from_when_on_requests_are_slow(engine: Engine, client: Client) -> None:
    assert client.eval("return box.cfg.too_long_threshold").data == [0.5]
    assert client.eval("box.cfg{too_long_threshold = 0.25}").data == []
    assert client.eval("return box.cfg.too_long_threshold").data == [0.25]
    assert told(engine) == ["log.slow_request=0.25"]
    engine.apply({"log.slow_request": 0.5})


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("'x'", "should be of type number"),
        ("-1", "expected seconds from 0.01 to 86400, or 0"),
        ("0.001", "expected seconds from 0.01 to 86400, or 0"),
        ("0/0", "expected seconds from 0.01 to 86400, or 0"),
    ],
)
def test_a_wrong_threshold(engine: Engine, client: Client, value: str, why: str) -> None:
    text = f"Incorrect value for option 'too_long_threshold': {why}"
    assert error_of(client.eval(f"box.cfg{{too_long_threshold = {value}}}")) == (CFG, text)
    assert told(engine) == []


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("{level = 'loud'}", f"log.cfg: 'level' expected {EXPECTED}, or a number, got 'loud'"),
        ("{format = 'json', level = 7}", "cannot be changed to 'json' while the server runs"),
        ("{log = 'x'}", "log.cfg: 'log' can't be set dynamically"),
        ("5", "log.cfg: expected a table, got number"),
    ],
)
def test_a_wrong_option_for_log_cfg(engine: Engine, client: Client, options: str, why: str) -> None:
    assert error_of(client.eval(f"require('log').cfg({options})"))[1].endswith(why)
    assert client.eval(LEVELS).data == [5, 5, 5]
    assert told(engine) == []


def test_log_cfg_is_no_table_to_write_into(client: Client) -> None:
    text = error_of(client.eval("require('log').cfg.level = 7"))[1]
    assert text.endswith("log.cfg: use log.cfg{option = value}")
