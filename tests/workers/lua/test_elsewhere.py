"""Statements of a console that other workers run, as far as one worker shows it.

What two workers do for each other is tested with a whole server in tests/whole/test_console.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from tests.helpers.consoles import Console, open_console
from tests.helpers.engine import Engine
from tests.workers.lua.tries import tried_again

LABELLED = b"---\n- worker 0:\n  - 1\n  - - 2\n...\n"


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine(warm=False) as made:
        yield made


@pytest.fixture
def console(engine: Engine) -> Console:
    return open_console(engine)


def test_the_consoles_own_worker_runs_them_where_the_session_is(console: Console) -> None:
    assert console.say("\\set worker 0\n") == b"---\n- true\n...\n"
    said = console.say("box.session.storage.mine = 1\nbox.session.storage.mine\n")
    assert said == b"---\n...\n---\n- 1\n...\n"
    said = console.say("box.session.id(), box.session.closed()\n")
    assert said == f"---\n- {console.id}\n- false\n...\n".encode()


def test_all_answers_are_labelled(console: Console) -> None:
    console.say("\\set worker all\n")
    assert console.say("1, {2}\n") == LABELLED
    assert console.say("local x\n") == b"---\n- worker 0: []\n...\n"
    assert console.say("error('no', 0)\n") == b"---\n- worker 0:\n  - error: 'no'\n...\n"
    console.say("\\set worker own\n")
    assert console.say("1\n") == b"---\n- 1\n...\n"


def test_they_are_labelled_in_lua_output_too(console: Console) -> None:
    console.say("\\set output lua\n")
    console.say("\\set worker all\n")
    assert console.say("1, {2}\n") == b'{["worker 0"] = {1, {2}}};'
    assert console.say("error('no', 0)\n") == b'{["worker 0"] = {{error = "no"}}};'


def test_what_cannot_be_written_is_that_workers_error(console: Console) -> None:
    console.say("\\set worker all\n")
    said = console.say("setmetatable({}, {__serialize = 5})\n")
    text = "console: an exception occurred when formatting the output: invalid __serialize value"
    assert yaml.safe_load(said) == [{"worker 0": [{"error": text}]}]


def test_nobody_else_is_asked_whether_a_session_has_left(engine: Engine, console: Console) -> None:
    engine.execute("require('beespace.engine.elsewhere').tick()")
    console.say("box.session.storage.mine = 1\n")
    engine.execute("require('beespace.engine.elsewhere').tick()")
    assert console.say("box.session.storage.mine\n") == b"---\n- 1\n...\n"


STARTED = """
local errand, started = require('beespace.engine.errand'), ...
looks = 0
function errand.is_there() return false end
function errand.is_coming() looks = looks + 1 return looks < started end
require('beespace.engine.bus').index = 5
"""
MISSING = b"---\n- error: 'worker 0: it is not there'\n...\n"


@pytest.mark.parametrize(("started", "least", "most"), [(3, 3, 3), (1000, 10, 60)])
@tried_again
def test_a_worker_that_is_being_started_is_waited_for_shortly(
    engine: Engine, console: Console, started: int, least: int, most: int
) -> None:
    engine.execute(STARTED, started)
    console.say("\\set worker 0\n")
    console.send(b"1\n")
    engine.run_until(lambda: console.came() == MISSING)
    assert least <= engine.execute("return looks") <= most
