"""box.session.on_connect and its like: set, replace, delete, list, and wrong arguments."""

from __future__ import annotations

import pytest

from tests.helpers.engine import Client, Engine, error_of
from tests.helpers.raw import CALL, request

SETUP = """
local s = box.session[{name!r}]
for _, each in ipairs(s()) do s(nil, each) end
local function make(name) return function() return name end end
local f, g, h = make('f'), make('g'), make('h')
local function names() local n = '' for _, each in ipairs(s()) do n = n .. each() end return n end
local function clean(...) for _, each in ipairs(s()) do s(nil, each) end return ... end
"""
EVENTS = ("on_connect", "on_disconnect", "on_auth", "on_access_denied")
CALLABLE = "local c = setmetatable({}, {__call = function() return 'c' end}) "


def source_of(source: str, name: str = "on_auth") -> str:
    return SETUP.format(name=name) + source


@pytest.mark.parametrize("name", EVENTS)
@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("return #s()", [0]),
        ("return clean(s(f) == f, s(g) == g, names())", [True, True, "gf"]),
        ("s(f) s(g) s(f) return clean(names())", ["gf"]),
        ("s(f) s(g) return clean(s(h, f) == h, names())", [True, "hg"]),
        ("s(f) s(g) return clean(s(f, f) == f, names())", [True, "gf"]),
        ("s(f) s(g) return clean(s(f, g) == f, names())", [True, "f"]),
        ("s(f) s(g) return clean(select('#', s(nil, f)), names())", [0, "g"]),
        ("s(f) return clean(#s(nil), #s(nil, nil), #s(nil, nil, nil))", [1, 1, 1]),
        ("s(f) return clean(#s(box.NULL), #s(box.NULL, box.NULL))", [1, 1]),
        ("s(f, box.NULL) return clean(names())", ["f"]),
        ("s(f) s(g) s(box.NULL, f) return clean(names())", ["g"]),
        ("s(f) s()[1] = g return clean(names())", ["f"]),
        # by name
        ("return clean(s(f, nil, 'x') == f, s(g, nil, 'x') == g, names())", [True, True, "g"]),
        ("s(f, nil, 'x') s(g) s(h, nil, 'x') return clean(names())", ["gh"]),
        ("s(f, nil, 'x') return select('#', s(nil, nil, 'x')), names()", [0, ""]),
        ("return select('#', s(nil, nil, 'nosuch')), names()", [0, ""]),
        ("s(f) return clean(s(g, f, 'x') == g, names())", [True, "gf"]),
        ("return clean(s{name = 'x', func = f} == f, names())", [True, "f"]),
        ("s{name = 'x', func = f} return select('#', s{name = 'x'}), names()", [0, ""]),
        ("s{name = 'x', func = f} s{name = 'x', func = box.NULL} return names()", [""]),
        ("s(f, nil, 'x') s(nil, f) return names()", [""]),
    ],
)
def test_results(client: Client, name: str, source: str, expected: list[object]) -> None:
    assert client.eval(source_of(source, name)).data == expected


@pytest.mark.parametrize(
    "arguments",
    [
        "1",
        "f, 1",
        "nil, 1",
        "'f'",
        "true",
        "f, {}",
        "nil, nil, 1",
        "f, nil, {}",
        "{}, f",
        "{}, nil",
    ],
)
def test_wrong_arguments(client: Client, arguments: str) -> None:
    answer = client.eval(source_of(f"s({arguments})"))
    assert error_of(answer) == (32, "trigger reset: incorrect arguments")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("{}", "trigger reset: incorrect arguments"),
        ("{func = f}", "name must be a string"),
        ("{name = 1, func = f}", "name must be a string"),
        ("{name = 'x', func = 1}", "func must be a callable object or nil"),
        ("{name = 'x', func = {}}", "func must be a callable object or nil"),
        ("h, g", "trigger reset: Trigger is not found"),
        ("nil, g", "trigger reset: Trigger is not found"),
    ],
)
def test_other_errors(client: Client, arguments: str, text: str) -> None:
    answer = client.eval(source_of(f"s(f) s({arguments})"))
    assert error_of(answer) == (32, text)
    assert client.eval(source_of("return #s()")).data == [0]


@pytest.mark.parametrize(
    ("source", "what"),
    [
        (
            "local co = coroutine.create(f) s(function() return co end)",
            "upvalue 'co' is a coroutine",
        ),
        (CALLABLE + "s(c)", "it is a table with a metatable"),
        (CALLABLE + "s{name = 'x', func = c}", "it is a table with a metatable"),
        (CALLABLE + "s(function() c() end)", "upvalue 'c' is a table with a metatable"),
    ],
)
def test_what_cannot_travel_is_refused(client: Client, source: str, what: str) -> None:
    answer = client.eval(source_of(f"s(f) {source}"))
    text = f"the function cannot be sent to the other workers: {what}"
    assert error_of(answer) == (32, text)
    assert client.eval(source_of("return #s()")).data == [0]


def test_callable_tables_that_every_worker_has(client: Client) -> None:
    source = (
        CALLABLE
        + """
        package.loaded.shop = c
        s(c) s(f)
        local order = names()
        s(nil, c)
        package.loaded.shop = nil
        return clean(order, names())"""
    )
    assert client.eval(source_of(source)).data == ["fc", "f"]


def test_the_lists_are_events_of_the_trigger_module(client: Client) -> None:
    source = """
        local trigger = require('trigger')
        s(f) s(g, nil, 'x')
        local info = trigger.info('box.session.on_auth')['box.session.on_auth']
        trigger.set('box.session.on_auth', 'y', h)
        local order = names()
        trigger.del('box.session.on_auth', 'x')
        return clean(#info, info[1][1], info[1][2] == g, info[2][2] == f, order, names())"""
    assert client.eval(source_of(source)).data == [2, "x", True, True, "hgf", "hf"]


DENIED = """
told = {}
box.session.on_access_denied(function(...)
  local s = box.session
  local who = table.concat({s.id(), s.user(), s.effective_user(), s.sync()}, ' ')
  told[#told + 1] = table.concat({who, ...}, ' ')
end)
"""


def test_on_access_denied_runs_before_the_refusal_is_sent() -> None:
    with Engine(warm=False, open_to_guests=False) as engine, engine.connect() as client:
        engine.execute(DENIED)
        answer = client.request(CALL, {0x22: "nosuch", 0x21: []})
        text = "Execute access to function 'nosuch' is denied for user 'guest'"
        assert error_of(answer) == (42, text)
        assert error_of(client.eval("return 1"))[0] == 42
        told: bytes = engine.execute("return table.concat(told, '|')")
        assert told.decode().split("|") == [
            f"{client.id} guest guest 1 Execute function nosuch",
            f"{client.id} guest guest 2 Execute universe ",
        ]


def test_a_failing_on_access_denied_changes_nothing() -> None:
    with Engine(warm=False, open_to_guests=False) as engine, engine.connect() as client:
        engine.execute(DENIED)
        engine.execute("box.session.on_access_denied(function() error('oops') end)")
        assert error_of(client.call("nosuch"))[0] == 42
        assert engine.execute("return #told") == 0


def test_on_access_denied_may_wait() -> None:
    with Engine(warm=False, open_to_guests=False) as engine, engine.connect() as client:
        engine.execute(DENIED)
        engine.execute("box.session.on_access_denied(function() require('fiber').sleep(0.01) end)")
        packet = request({0: CALL, 1: 7}, {0x22: "nosuch", 0x21: []})
        (answer,) = client.answers(packet, 1)
        assert (answer.sync, answer.code) == (7, 42)
        assert engine.execute("return #told") == 1


def test_what_on_access_denied_is_refused_does_not_run_it_again() -> None:
    with Engine(warm=False, open_to_guests=False) as engine, engine.connect() as client:
        engine.execute(
            """
            runs = 0
            box.session.on_access_denied(function()
              runs = runs + 1
              box.session.su('admin')
            end)"""
        )
        for _ in range(3):
            assert client.call("nosuch").code == 42
        assert engine.execute("return runs") == 3
