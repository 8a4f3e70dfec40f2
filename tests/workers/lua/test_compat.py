"""compat: choosing between old and new forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.helpers.lua import make_runtime

Run = Callable[[str], Any]


@pytest.fixture
def run() -> Run:
    runtime = make_runtime()

    def execute(source: str) -> Any:
        return runtime.execute(f"""
          local compat = require('compat')
          local flags = require('beespace.box.compat_flags')
          {source}""")

    return execute


STATE = "return compat.session_results.current, flags.session_results"


def test_the_default_is_old(run: Run) -> None:
    assert run(STATE) == (b"default", 0)
    assert run("return compat.session_results.default") == b"old"
    assert run("return compat.is_new('session_results')") is False


@pytest.mark.parametrize(
    "form", ["compat.session_results = '{}'", "compat{{session_results='{}'}}"]
)
@pytest.mark.parametrize(("value", "number"), [("new", 1), ("old", 0), ("default", 0)])
def test_set(run: Run, form: str, value: str, number: int) -> None:
    run("flags.session_results = 1")

    run(form.format(value))

    assert run(STATE) == (value.encode(), number)
    assert run("return compat.is_new('session_results')") is bool(number)


def test_what_the_settings_chose_is_seen(run: Run) -> None:
    run("flags.session_results = 1")

    assert run(STATE) == (b"new", 1)


def test_the_user_of_fibers(run: Run) -> None:
    state = "return compat.fiber_user.current, compat.fiber_user.default, flags.fiber_user"
    assert run(state) == (b"default", b"new", 1)

    run("compat.fiber_user = 'old'")

    assert run(state) == (b"old", b"new", 0)
    assert run("return compat.is_new('fiber_user')") is False


def test_a_setting_over_an_earlier_choice_is_seen(run: Run) -> None:
    run("compat.session_results = 'old' flags.session_results = 1")

    assert run(STATE) == (b"new", 1)


ERRORS = [
    ("compat.nosuch = 'new'", "Invalid option 'nosuch'"),
    ("return compat.nosuch", "Invalid option 'nosuch'"),
    ("compat.is_new('nosuch')", "Invalid option 'nosuch'"),
    ("compat{nosuch = 'new'}", "Invalid option 'nosuch'"),
    (
        "compat.session_results = 'both'",
        "Invalid value 'both' of option 'session_results': expected 'old', 'new' or 'default'",
    ),
    (
        "compat.session_results = true",
        "Invalid value 'true' of option 'session_results': expected 'old', 'new' or 'default'",
    ),
    ("compat('new')", "compat: expected a table of options, got string"),
]


@pytest.mark.parametrize(("source", "text"), ERRORS)
def test_errors(run: Run, source: str, text: str) -> None:
    ok, raised = run(f"return pcall(function() {source} end)")

    assert not ok
    assert raised.decode() == text


def test_all_or_none(run: Run) -> None:
    run("pcall(compat, {session_results = 'new', nosuch = 'new'})")

    assert run(STATE) == (b"default", 0)


def test_who_may_call_su(run: Run) -> None:
    state = "return compat.session_su.current, compat.session_su.default, flags.session_su"
    assert run(state) == (b"default", b"new", 1)

    run("compat.session_su = 'old'")

    assert run(state) == (b"old", b"new", 0)


@pytest.mark.parametrize("name", ["session_su", "fiber_user"])
def test_nobody_gives_himself_rights(run: Run, name: str) -> None:
    source = f"""
        local cur = require('beespace.engine.state').cur
        cur.euid = 32
        local one, first = pcall(function() compat.{name} = 'old' end)
        local two, second = pcall(compat, {{{name} = 'old', session_results = 'new'}})
        cur.euid = 1
        return one, first.code, two, second.code, flags.{name}, flags.session_results"""

    assert run(source) == (False, 42, False, 42, 1, 0)
    assert run(f"compat.{name} = 'old' return flags.{name}") == 0
