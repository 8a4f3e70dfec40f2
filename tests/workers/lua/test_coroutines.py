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


def test_a_coroutine_in_which_a_fiber_waits_is_nobody_elses(client: Client) -> None:
    source = """
        local fiber = require('fiber')
        local seen = {}
        local co = coroutine.create(function() fiber.sleep(0.002) return 'slept' end)
        local step = coroutine.wrap(function() fiber.sleep(0.002) return 'stepped' end)
        fiber.create(function() seen[1] = {coroutine.resume(co)} end)
        fiber.create(function() seen[2] = step() end)
        local before = coroutine.status(co)
        local resumed = {coroutine.resume(co)}
        local stepped = {pcall(function() step() end)}
        fiber.sleep(0.02)
        return before, resumed, stepped, seen, coroutine.status(co)"""
    refusal = "cannot resume running coroutine"

    assert client.answers(evaluation(1, source), 1)[0].data == [
        "normal",
        [False, refusal],
        [False, f"eval:10: {refusal}"],
        [[True, "slept"], "stepped"],
        "dead",
    ]


def test_generators_of_many_requests_at_once(client: Client) -> None:
    source = """
        local fiber = require('fiber')
        local first, sum, order = ..., 0, {}
        local function numbers(from, to)
          return coroutine.wrap(function()
            for k = from, to do
              fiber.sleep(k % 3 * 1e-4)
              coroutine.yield(k)
            end
          end)
        end
        for number in numbers(first, first + 4) do
          for inner in numbers(1, 3) do sum = sum + inner end
          fiber.yield()
          order[#order + 1] = number
        end
        return sum, order, box.session.sync()"""
    count = 50
    sent = b"".join(evaluation(sync, source, sync) for sync in range(1, count + 1))

    answers = client.answers(sent, count)
    assert sorted(answer.sync for answer in answers) == list(range(1, count + 1))
    for answer in answers:
        sync = answer.sync
        assert answer.data == [30, [sync, sync + 1, sync + 2, sync + 3, sync + 4], sync]


def test_cancellation_reaches_into_a_coroutine(client: Client) -> None:
    source = """
        local fiber = require('fiber')
        local seen
        local f = fiber.create(function()
          local co = coroutine.create(function() fiber.sleep(3600) end)
          local ok, raised = coroutine.resume(co)
          seen = {ok, raised.message, coroutine.status(co)}
        end)
        f:cancel()
        fiber.yield()
        return seen, f:status()"""

    assert client.answers(evaluation(1, source), 1)[0].data == [
        [False, "fiber is cancelled", "dead"],
        "dead",
    ]


def test_who_may_yield(client: Client) -> None:
    source = """
        local inside
        coroutine.wrap(function() inside = coroutine.isyieldable() end)()
        return coroutine.isyieldable(), inside, pcall(coroutine.yield, 1)"""
    refused = [False, True, False, "attempt to yield across C-call boundary"]

    assert client.eval(source).data == refused
    assert client.answers(evaluation(1, "wait(0) " + source), 1)[0].data == refused


@pytest.mark.parametrize(
    "lend",
    [
        "as(1, coroutine.yield, 5)",
        "as(1, function() as(1, coroutine.yield, 5) end)",
        "pcall(as, 1, coroutine.yield, 5)",
    ],
)
def test_lent_rights_do_not_leave_with_a_yield(client: Client, lend: str) -> None:
    client.engine.execute("as = require('beespace.engine.user').as")
    source = f"""
        local co = coroutine.create(function() {lend} end)
        local ok, what = coroutine.resume(co)
        return what, box.session.euid()"""

    what, euid = client.eval(source).data
    assert euid == 0
    assert what is None or what.endswith("attempt to yield across C-call boundary")


def test_a_coroutine_may_yield_inside_of_the_function_that_made_it(client: Client) -> None:
    client.engine.execute("as = require('beespace.engine.user').as")
    source = """
        local co = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end)
        local first = co()
        local inside = {as(1, function() return co(), box.session.euid() end)}
        return first, inside, co(), box.session.euid()"""

    assert client.eval(source).data == [1, [2, 1], 3, 0]


@pytest.mark.parametrize(
    "call", ["coroutine.resume()", "coroutine.resume(1)", "coroutine.status()"]
)
def test_what_is_no_coroutine(client: Client, call: str) -> None:
    said = "bad argument #1 to '%s' (coroutine expected)"
    name = call.partition("(")[0].removeprefix("coroutine.")

    assert error_of(client.eval(f"return {call}")) == (32, said % "?")
    place, text = client.eval(f"local x = {call}").text.split(": ", 1)
    assert (place.endswith(":1"), text) == (True, said % name)


def test_coroutines_of_the_scheduler_are_nobody_elses(engine: Engine, client: Client) -> None:
    engine.execute("fiber = require('fiber')")
    source = """
        local mine = coroutine.running()
        local seen
        fiber.create(function()
          seen = {coroutine.status(mine), coroutine.resume(mine, 1)}
        end)
        fiber.sleep(0)
        theirs = mine
        return seen, {coroutine.status(mine), coroutine.resume(mine, 1)}"""
    refusal = "cannot resume running coroutine"
    first, second = client.answers(evaluation(1, source), 1)[0].data
    later = client.eval("return coroutine.status(theirs), coroutine.resume(theirs, 1)").data
    after = client.answers(evaluation(1, "wait(0) return 1") * 5, 5)

    assert first == ["normal", False, refusal]
    # It may be that of the request that asks.
    assert later[0] in ("normal", "running")
    assert second == ["running", False, refusal]
    assert later[1:] == [False, refusal]
    assert [answer.data for answer in after] == [[1]] * 5


@pytest.mark.parametrize("wait", ["", "wait(0) "])
def test_the_environment_of_a_coroutine_ends_with_its_request(client: Client, wait: str) -> None:
    source = f"""
        {wait}
        local environment = {{seven = 7, loadstring = loadstring}}
        setfenv(0, environment)
        {wait}
        return seven, loadstring('return seven, pcall')()"""
    for _ in range(3):
        answers = client.answers(evaluation(1, source) + evaluation(2, "return pcall ~= nil"), 2)
        assert sorted((a.sync, a.data) for a in answers) == [(1, [None, 7, None]), (2, [True])]
        assert client.answers(evaluation(3, "wait(0) return seven, pcall ~= nil"), 1)[0].data == [
            None,
            True,
        ]


def test_setfenv_is_luas_otherwise(client: Client) -> None:
    source = """
        local function f() return seven end
        local inner = coroutine.wrap(function()
          setfenv(0, {seven = 8})
          return loadstring('return seven')()
        end)
        local same = setfenv(f, {seven = 7}) == f
        local own = (function() setfenv(1, {seven = 9}) return seven end)()
        return same, f(), own, inner(), seven"""

    assert client.eval(source).data == [True, 7, 9, 8, None]
    for odd in ("setfenv()", "setfenv(0)", "setfenv(0, 1)", "setfenv(99, {})"):
        assert error_of(client.eval(odd))[1].startswith("eval:1: bad argument")
    assert client.in_step()
