"""Waiting inside the coroutines of an application."""

from __future__ import annotations

import pytest

from tests.helpers.engine import Client, Engine, error_of
from tests.helpers.requests import evaluation


@pytest.fixture(autouse=True)
def functions(engine: Engine) -> None:
    engine.execute("wait = require('beespace.engine.fibers').suspend")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            """local each = coroutine.wrap(function(a)
                 wait(0) local b = coroutine.yield(a + 1) wait(0.001) return a + b, 'end' end)
               local first = each(1)
               return first, each(10)""",
            [2, 11, "end"],
        ),
        (
            """local inner = coroutine.create(function() wait(0) coroutine.yield('in') end)
               local outer = coroutine.create(function()
                 local _, got = coroutine.resume(inner) wait(0) coroutine.yield(got) end)
               return coroutine.resume(outer)""",
            [True, "in"],
        ),
        (
            """return coroutine.resume(coroutine.create(function() wait(0) error('no', 0) end))""",
            [False, "no"],
        ),
        ("return select('#', coroutine.resume(coroutine.create(function() wait(0) end)))", [1]),
        ("return select('#', coroutine.resume(coroutine.create(function() return nil end)))", [2]),
    ],
)
def test_results_are_those_of_a_plain_coroutine(
    client: Client, source: str, expected: list[object]
) -> None:
    assert client.answers(evaluation(1, source), 1)[0].data == expected


def test_a_wait_that_cannot_pass_its_resumer(client: Client) -> None:
    source = """
        local step = coroutine.wrap(function() wait(3600) end)
        table.sort({2, 1}, function() step() return true end)"""
    code, text = error_of(client.eval(source))

    assert (code, text[-39:]) == (32, "attempt to yield across C-call boundary")
    assert client.slot.in_flight == 0
    assert client.in_step()


def test_errors_of_wrapped_coroutines_carry_the_place_of_the_call(client: Client) -> None:
    source = "\nlocal f = coroutine.wrap(function() error('no', 0) end)\nf()"
    raw = "\nlocal f = coroutine.wrap(function() error({1}) end)\nlocal _, e = pcall(f) return e"

    assert error_of(client.eval(source)) == (32, "eval:3: no")
    assert client.eval(raw).data == [[1]]
