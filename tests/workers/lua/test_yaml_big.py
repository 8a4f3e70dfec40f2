"""Large values: others are served while they are walked and rendered, and the text is the same."""

from __future__ import annotations

import threading
import time

import pytest

from tests.helpers.engine import Client, Engine, error_of
from tests.helpers.raw import ping
from tests.helpers.requests import evaluation

SETUP = """
yaml = require('beespace.engine.yaml')
rows = {}
for place = 1, 20000 do
  rows[place] = {place, name = 'bee ' .. place}
end
rows.shared = rows[7]
long = ('honey and wax '):rep(100000)
"""
# Where nothing can wait, it is rendered at once.
AT_ONCE = "return function(value) return require('beespace.engine.yaml').answer(value) end"


@pytest.fixture(autouse=True)
def values(engine: Engine) -> None:
    engine.execute(SETUP)


def threads() -> set[str]:
    return {each.name for each in threading.enumerate() if each.name.startswith("yaml-")}


@pytest.mark.parametrize("value", ["rows", "long", "{long, rows, rows}", "{a = {b = long}}"])
def test_others_are_served_meanwhile(engine: Engine, client: Client, value: str) -> None:
    engine.execute(f"value = {value}")

    first, second = client.answers(evaluation(1, "return yaml.answer(value)") + ping(2), 2)

    assert (first.sync, second.sync) == (2, 1)
    wanted = engine.runtime.call(engine.execute(AT_ONCE), engine.execute("return value"))
    assert second.data == [wanted.decode()]
    assert threads() == set()


def test_a_small_value_does_not_wait(client: Client) -> None:
    answers = client.answers(evaluation(1, "return yaml.answer({1, 2, 3})") + ping(2), 2)

    assert [each.sync for each in answers] == [1, 2]


def test_a_table_may_change_meanwhile(engine: Engine, client: Client) -> None:
    change = """
        for place = 1, 5000 do
          rows[place * 3] = nil
          rows['more' .. place] = place
        end
    """
    first, second, third = client.answers(
        evaluation(1, "return #yaml.answer(rows) > 100000")
        + evaluation(2, change)
        + evaluation(3, "return yaml.answer(1)"),
        3,
    )

    assert [first.sync, second.sync, third.sync] == [2, 3, 1]
    assert [error_of(each) for each in (first, second, third)] == [(0, "")] * 3
    assert third.data == [True]


def test_a_value_that_fails_late_leaves_nothing_behind(engine: Engine, client: Client) -> None:
    engine.execute("rows[#rows + 1] = setmetatable({}, {__serialize = 5})")

    (answer,) = client.answers(evaluation(1, "return pcall(yaml.answer, {rows, rows.shared})"), 1)

    assert answer.data == [False, "invalid __serialize value"]
    wait_until_gone()
    assert client.in_step()


def wait_until_gone() -> None:
    deadline = time.monotonic() + 5
    for each in threading.enumerate():
        if each.name.startswith("yaml-"):
            each.join(deadline - time.monotonic())
            assert not each.is_alive()


def test_a_fiber_that_is_cancelled_drops_its_document(client: Client) -> None:
    source = """
        local fiber = require('fiber')
        local one = fiber.new(function() return yaml.answer({rows, rows, long}) end)
        one:set_joinable(true)
        fiber.yield()
        one:cancel()
        local ok, raised = one:join()
        return ok, tostring(raised)
    """
    (answer,) = client.answers(evaluation(1, source), 1)

    assert answer.data == [False, "fiber is cancelled"]
    wait_until_gone()


def test_code_that_serialises_must_not_wait(client: Client) -> None:
    source = """
        return pcall(yaml.answer, setmetatable({}, {__serialize = function()
          require('fiber').sleep(0)
        end}))
    """
    (answer,) = client.answers(evaluation(1, source), 1)

    assert answer.data[0] is False
    assert answer.data[1].endswith("attempt to yield across C-call boundary")
    assert client.in_step()
