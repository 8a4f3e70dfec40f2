"""require('fiber') in requests: names, info, where nothing can wait, many fibers, what is left."""

from __future__ import annotations

import pytest

from tests.helpers.engine import Client, Engine, error_of
from tests.helpers.raw import ping
from tests.helpers.requests import evaluation

SETUP = """
fiber = require('fiber')
joinable = function(f, ...)
  local made = fiber.new(f, ...)
  made:set_joinable(true)
  return made
end
"""
# A source in a fiber of its own, without the loop, until it has ended.
ALONE = """
local fibers = require('beespace.engine.fibers')
local record = fibers.start(assert(loadstring(...)))
record.joinable = true
fibers.settle(record)
assert(record.results.ok, record.results[1])
"""
FORGOTTEN = """
collectgarbage()
collectgarbage()
return require('beespace.engine.fiber_records').count, require('beespace.engine.timers').count()
"""
CANNOT_YIELD = "attempt to yield across C-call boundary"


@pytest.fixture(autouse=True)
def names(engine: Engine) -> None:
    engine.execute(SETUP)


def ask(client: Client, source: str, *arguments: object) -> list[object]:
    """What a request that may wait returns."""
    (answer,) = client.answers(evaluation(1, source, *arguments), 1)
    assert answer.code == 0, answer.text
    return answer.data


# Requests ----------------------------------------------------------------------------------------


def test_the_fiber_of_a_request(client: Client) -> None:
    before = "return fiber.name(), fiber.status(), fiber.self() == fiber.self(), fiber.id() > 100"
    assert ask(client, before) == ["main", "running", True, True]
    assert ask(client, "fiber.sleep(0) " + before) == ["main", "running", True, True]


def test_every_request_has_a_fiber_of_its_own(client: Client) -> None:
    source = "fiber.self().storage.n = ... fiber.yield() return fiber.id(), fiber.self().storage.n"
    answers = client.answers(evaluation(1, source, 1) + evaluation(2, source, 2), 2)

    (first, one), (second, two) = (answer.data for answer in answers)
    assert (one, two) == (1, 2)
    assert first != second


def test_the_fiber_of_a_request_that_is_over(client: Client) -> None:
    client.eval("kept = fiber.self() kept_id = fiber.id() kept.storage.x = 1")

    assert client.eval("return kept:status(), kept:id() == kept_id").data == ["dead", True]
    assert client.eval("return fiber.find(kept_id), fiber.info()[kept_id]").data == [None, None]
    assert error_of(client.eval("return kept.storage")) == (32, "eval:1: the fiber is dead")
    assert client.eval("return kept").data == ["the fiber is dead"]


def test_a_fiber_sees_that_the_request_before_it_is_over(client: Client) -> None:
    source = "kept = fiber.self() fiber.new(function() seen = kept:status() end)"
    client.answers(evaluation(1, source), 1)

    assert ask(client, "return seen") == ["dead"]


def test_a_request_cannot_be_joined(client: Client) -> None:
    set_joinable = "fiber.self():set_joinable(true)"
    join = """
        local me, caught = fiber.self()
        fiber.create(function() caught = select(2, pcall(me.join, me)) end)
        return caught"""

    assert error_of(client.eval(set_joinable))[1].endswith("of a request cannot be joined")
    assert ask(client, join) == ["the fiber is not joinable"]


def test_a_fiber_cannot_join_itself(client: Client) -> None:
    source = """
        local f = joinable(function() return pcall(fiber.join, fiber.self()) end)
        return f:join()"""

    assert ask(client, source) == [True, False, "the fiber cannot join itself"]


def test_a_request_is_cancelled_by_another(client: Client) -> None:
    client.offer(evaluation(1, "victim = fiber.self() fiber.sleep(3600)"))
    client.engine.run()
    client.offer(evaluation(2, "victim:cancel() return victim:status()"))

    answers = sorted(client.answers(b"", 2), key=lambda answer: answer.sync)
    assert error_of(answers[0]) == (32, "fiber is cancelled")
    assert answers[1].data == ["suspended"]


def test_a_request_that_cancels_itself(client: Client) -> None:
    assert error_of(client.eval("fiber.self():cancel()")) == (32, "fiber is cancelled")
    assert client.in_step()


def test_an_object_as_result_and_argument_of_the_wire(client: Client) -> None:
    (made,) = client.eval("return fiber.self()").data

    assert isinstance(made, dict)
    assert made.pop("id") > 100
    assert made == {"name": "main", "status": "running"}
    for name in ("channel", "cond"):
        answer = client.eval(f"return fiber.{name}()")
        assert error_of(answer) == (32, "unsupported Lua type 'userdata'")


# Times -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("fiber.sleep(0/0)", "fiber.sleep(delay): bad arguments"),
        ("fiber.channel():get(0/0)", "usage: channel:get([timeout])"),
        ("fiber.channel():put(1, 0/0)", "usage: channel:put(var [, timeout])"),
        ("fiber.cond():wait(0/0)", "usage: cond:wait([timeout])"),
    ],
)
def test_a_time_that_is_no_number_is_refused(client: Client, call: str, text: str) -> None:
    assert error_of(client.eval(call)) == (32, f"eval:1: {text}")


def test_waits_without_end_leave_the_loop_alone(client: Client) -> None:
    client.offer(evaluation(1, "sleeper = fiber.self() fiber.sleep(1/0)"))
    client.offer(evaluation(2, "reader = fiber.self() fiber.channel():get(1e300)"))
    client.engine.run()
    assert client.slot.in_flight == 2

    client.answers(ping(3) + evaluation(4, "sleeper:cancel() reader:cancel()"), 4)
    assert client.slot.in_flight == 0


# Names and info ----------------------------------------------------------------------------------


def test_info_during_load(client: Client) -> None:
    source = """
        local made = {}
        for k = 1, 500 do
          made[k] = fiber.create(fiber.sleep, 3600)
          made[k]:name('sleeper ' .. k)
        end
        local seen, count = fiber.info(), 0
        for k, each in ipairs(made) do
          local one = seen[each:id()]
          assert(one.fid == each:id() and one.name == 'sleeper ' .. k and one.csw == 1)
          each:cancel()
        end
        for _ in pairs(seen) do count = count + 1 end
        fiber.yield()
        return count, seen[fiber.id()].name, next(fiber.info(), next(fiber.info()))"""

    assert ask(client, source) == [501, "main", None]


def test_backtraces_show_the_application(client: Client) -> None:
    source = """
        local inner = function() fiber.sleep(3600) end
        local outer = function() inner() end
        local f = fiber.create(outer)
        local lines = {}
        for _, line in ipairs(fiber.info()[f:id()].backtrace) do
          lines[#lines + 1] = line.L
        end
        f:cancel()
        local mine = fiber.info()[fiber.id()].backtrace
        return lines, mine[1].L, #mine"""
    lines, mine, depth = ask(client, source)

    assert lines == ["inner in =eval at line 2", "(unnamed) in =eval at line 3"]
    assert (mine, depth) == ("(unnamed) in =eval at line 10", 1)


def test_ids_are_never_used_twice(client: Client) -> None:
    source = """
        local seen, twice = {}, 0
        for _ = 1, 2000 do
          local id = fiber.create(function() end):id()
          twice = twice + (seen[id] and 1 or 0)
          seen[id] = true
        end
        return twice"""

    assert ask(client, source) == [0]


# Where nothing can wait --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wait",
    [
        "fiber.sleep(0)",
        "fiber.sleep(3600)",
        "fiber.yield()",
        "channel:get()",
        "channel:get(3600)",
        "channel:put(1)",
        "cond:wait()",
        "cond:wait(3600)",
        "other:join()",
    ],
)
def test_a_refused_wait_names_its_place_and_leaves_nothing(client: Client, wait: str) -> None:
    source = f"""
        local channel, cond = fiber.channel(), fiber.cond()
        local other = joinable(function() return 'joined' end)
        local ok, err = pcall(table.sort, {{2, 1}}, function()
          {wait}
        end)
        local co = coroutine.wrap(function()
          {wait}
        end)
        local inside, text = pcall(table.sort, {{2, 1}}, function() co() end)
        fiber.new(function() channel:put('value', 1) end)
        cond:signal()
        return ok, err, inside, text, channel:has_readers(), channel:has_writers(),
          channel:get(), other:join()"""
    found = ask(client, source)

    assert found[:2] == [False, f"eval:5: {CANNOT_YIELD}"]
    assert found[2] is False
    assert str(found[3]).endswith(CANNOT_YIELD)
    assert found[4:] == [False, False, "value", True, "joined"]


def test_a_fiber_may_be_made_where_nothing_can_wait(client: Client) -> None:
    source = """
        local seen
        table.sort({2, 1}, function()
          seen = fiber.create(function() fiber.sleep(0.001) return 'x' end)
          seen:set_joinable(true)
          return false
        end)
        return seen:join()"""

    assert ask(client, source) == [True, "x"]


# Joining -----------------------------------------------------------------------------------------


def test_a_second_joiner_gets_nothing(client: Client) -> None:
    source = """
        local f = joinable(function() fiber.sleep(0.001) return 'x' end)
        local joiners, got = {}, {}
        for k = 1, 3 do
          joiners[k] = joinable(function() return pcall(f.join, f) end)
        end
        for k = 1, 3 do got[k] = {select(2, joiners[k]:join())} end
        return got"""
    refused = [False, "the fiber is dead"]

    assert ask(client, source) == [[[True, True, "x"], refused, refused]]


def test_results_wait_until_they_are_joined(engine: Engine, client: Client) -> None:
    client.answers(evaluation(1, "late_id = joinable(function() return 1, nil end):id()"), 1)
    engine.run()

    assert ask(client, "return fiber.info()[late_id].name, fiber.find(late_id):status()") == [
        "lua",
        "suspended",
    ]
    assert ask(client, "return fiber.join(late_id)") == [True, 1, None]
    assert ask(client, "return fiber.info()[late_id], fiber.find(late_id)") == [None, None]


def test_a_joined_failure_is_not_reported(engine: Engine, client: Client) -> None:
    engine.execute("reported = 0")
    source = """
        local records = require('beespace.engine.fiber_records')
        local before = records.failed
        records.failed = function() reported = reported + 1 end
        joinable(error, 'known'):join()
        local known = reported
        fiber.create(error, 'unknown')
        records.failed = before
        return known, reported"""

    assert ask(client, source) == [0, 1]


# Many --------------------------------------------------------------------------------------------


def test_ten_thousand_sleepers_wake_in_order(client: Client) -> None:
    source = """
        local fibers = require('beespace.engine.fibers')
        local woken, wrong = 0, 0
        local latest = 0
        for k = 1, 10000 do
          local seconds = 0.05 + (k * 7919 % 10000) * 1e-6
          fiber.create(function()
            fiber.sleep(seconds)
            woken = woken + 1
            local due = fibers.current().deadline
            if due < latest then wrong = wrong + 1 end
            latest = math.max(latest, due)
          end)
        end
        while woken < 10000 do fiber.sleep(0.005) end
        return woken, wrong"""

    assert ask(client, source) == [10000, 0]
    assert client.engine.execute(FORGOTTEN) == (0, 0)


SHORT = {
    "created": "for _ = 1, 1000 do fiber.create(function() end) end",
    "new": "for _ = 1, 1000 do fiber.new(function() end) end fiber.yield()",
    "sleeping": "for _ = 1, 1000 do fiber.create(fiber.sleep, 0) end fiber.yield() fiber.yield()",
    "failing": "for _ = 1, 1000 do joinable(error, 'x'):join() end",
    "joined": "for _ = 1, 1000 do joinable(function() fiber.yield() return 1 end):join() end",
    "cancelled": """
        local made = {}
        for k = 1, 1000 do made[k] = fiber.create(fiber.sleep, 3600) end
        for k = 1, 1000 do made[k]:cancel() end
        fiber.yield()""",
    "channels": """
        for _ = 1, 1000 do
          local channel = fiber.channel()
          fiber.create(channel.get, channel)
          channel:put(1)
        end
        fiber.yield()""",
    "timeouts": """
        local channel, cond = fiber.channel(), fiber.cond()
        for _ = 1, 500 do
          fiber.create(channel.get, channel, 1e-5)
          fiber.create(cond.wait, cond, 1e-5)
        end
        fiber.sleep(0.001) fiber.yield()""",
    "generators": """
        for _ = 1, 1000 do
          local step = coroutine.wrap(function() coroutine.yield(1) end)
          fiber.create(function() step() end)
        end""",
}


@pytest.mark.parametrize("kind", SHORT)
def test_a_hundred_thousand_short_fibers_leave_nothing(engine: Engine, kind: str) -> None:
    source = f"""
        local function rounds(n) for _ = 1, n do {SHORT[kind]} end end
        local function used()
          for _ = 1, 20 do require('beespace.engine.pool').shrink() end
          for _ = 1, 3 do collectgarbage() end
          return collectgarbage('count')
        end
        rounds(10)
        local before = used()
        rounds(100)
        left, pooled = used() - before, require('beespace.engine.pool').count()"""
    engine.execute(ALONE, source.encode())
    kilobytes, pooled = engine.execute("return left, pooled")

    # One that is kept has more than 200 bytes; tables that have grown once may be larger by some.
    assert kilobytes < 1024
    assert pooled <= 16
    assert engine.execute(FORGOTTEN) == (0, 0)
