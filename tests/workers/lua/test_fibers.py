"""The scheduler: requests that wait, fibers of their own, cancellation, what belongs to each."""

from __future__ import annotations

import pytest

from tests.helpers.engine import Client, Engine, error_of
from tests.helpers.raw import ping
from tests.helpers.requests import evaluation

SETUP = """
fibers = require('beespace.engine.fibers')
function wait(seconds)
  local woken = fibers.suspend(seconds)
  return woken, box.session.sync(), box.session.id(), box.session.fd()
end
"""


@pytest.fixture(autouse=True)
def functions(engine: Engine) -> None:
    engine.execute(SETUP)


def test_a_request_that_waits_lets_the_others_pass(client: Client) -> None:
    answers = client.answers(
        evaluation(1, "return wait(0.002)")
        + ping(2)
        + evaluation(3, "return wait(0)")
        + evaluation(4, "return 'at once'"),
        4,
    )

    assert [answer.sync for answer in answers] == [2, 4, 3, 1]
    assert answers[2].data == [False, 3, client.id, client.fd]
    assert answers[3].data == [False, 1, client.id, client.fd]
    assert client.slot.in_flight == 0


def test_coroutines_that_rest_in_the_loop_are_used_for_everything(
    engine: Engine, client: Client
) -> None:
    counts = []
    for turn in range(20):
        answers = client.answers(evaluation(1, "return wait(0)") * 5 + evaluation(2, "return 2"), 6)
        assert [answer.sync for answer in answers] == [2, 1, 1, 1, 1, 1]
        found = client.eval(
            """
            local seen = {}
            for number = 1, 7 do
              fibers.create(function(...) seen[#seen + 1] = {...} wait(0) end, number, ...)
            end
            return seen""",
            turn,
        ).data
        assert found == [[[number, turn] for number in range(1, 8)]]
        assert client.in_step()
        counts.append(engine.execute("return require('beespace.engine.pool').count()"))

    assert len(set(counts[1:])) == 1, counts


def test_an_error_after_a_wait_is_the_answer_of_its_request(client: Client) -> None:
    late, whole = client.answers(evaluation(1, "wait(0.001) error('late')") + ping(2), 2)[::-1]

    assert (late.sync, error_of(late)) == (1, (32, "eval:1: late"))
    assert whole.sync == 2
    assert client.in_step()


def test_a_result_that_cannot_be_encoded_after_a_wait(client: Client) -> None:
    (answer,) = client.answers(evaluation(1, "wait(0) return print"), 1)

    assert error_of(answer) == (32, "unsupported Lua type 'function'")
    assert client.slot.in_flight == 0
    assert client.in_step()


def test_storage_and_user_stay_right_while_sessions_take_turns(engine: Engine) -> None:
    source = """
        box.session.storage.name = ...
        for _ = 1, 5 do
          wait(0)
          assert(box.session.storage.name == ..., box.session.storage.name)
          assert(box.session.effective_user() == 'guest' and box.session.type() == 'binary')
        end
        return box.session.storage.name, box.session.id()"""
    with engine.connect() as one, engine.connect() as two:
        one.offer(evaluation(1, source, "one"))
        two.offer(evaluation(1, source, "two"))
        engine.run()
        for client, name in ((one, "one"), (two, "two")):
            client.take()
            (answer,) = client.packets()
            assert answer.data == [name, client.id]


def test_the_last_error_belongs_to_its_fiber(client: Client) -> None:
    setting = "pcall(box.error, 1, ...) wait(0) return box.error.last().message"
    answers = client.answers(evaluation(1, setting, "one") + evaluation(2, setting, "two"), 2)
    (later,) = client.answers(evaluation(3, "wait(0) return box.error.last()"), 1)

    assert [answer.data for answer in answers] == [["one"], ["two"]]
    assert later.data == [None]


def test_a_fiber_of_a_request_belongs_to_no_session(client: Client) -> None:
    source = """
        local seen = {}
        local function look()
          seen[#seen + 1] = {box.session.id(), box.session.type(), box.session.fd(),
            box.session.sync(), box.session.effective_user(), box.session.storage.mine or 'none'}
        end
        box.session.storage.mine = 'yes'
        fibers.create(function() look() fibers.suspend(0) look() end)
        look()
        wait(0.001)
        return seen"""
    ((first, mine, second),) = (client.answers(evaluation(9, source), 1)[0].data[0],)

    assert first == second == [0, "background", -1, 0, "guest", "none"]
    assert mine == [client.id, "binary", client.fd, 9, "guest", "yes"]


def test_the_old_user_of_fibers(client: Client) -> None:
    source = """
        local user
        require('compat').fiber_user = 'old'
        fibers.create(function() user = box.session.effective_user() end)
        require('compat').fiber_user = 'default'
        return user, box.session.effective_user()"""

    assert client.eval(source).data == ["admin", "guest"]


def test_background_fibers_have_storages_of_their_own(client: Client) -> None:
    source = """
        local first, second
        fibers.create(function() box.session.storage.x = 1 first = box.session.storage end)
        fibers.create(function() second = box.session.storage end)
        return first, second"""

    assert client.eval(source).data == [{"x": 1}, []]


def test_fibers_run_in_the_order_of_their_waking(client: Client) -> None:
    source = """
        local order, records = {}, {}
        for k = 1, 4 do
          records[k] = fibers.start(function() fibers.suspend() order[#order + 1] = k end)
        end
        wait(0)
        for _, k in ipairs({3, 1, 4, 2, 3}) do fibers.wake(records[k]) end
        local before = #order
        wait(0)
        return before, order"""

    assert client.answers(evaluation(1, source), 1)[0].data == [0, [3, 1, 4, 2]]


def test_a_wait_that_is_woken_early_leaves_no_timer(engine: Engine, client: Client) -> None:
    source = """
        local seen
        local record = fibers.start(function() seen = fibers.suspend(3600) end)
        wait(0)
        fibers.wake(record)
        wait(0)
        return seen, record.status"""

    assert client.answers(evaluation(1, source), 1)[0].data == [True, "dead"]
    assert engine.execute("return require('beespace.engine.timers').count()") == 0


def test_cancellation_ends_a_wait_and_the_next_one(client: Client) -> None:
    source = """
        local seen = {}
        local function work()
          for k = 1, 2 do
            local ok, err = pcall(fibers.suspend, 3600)
            seen[k] = {ok, err.type, err.message}
          end
        end
        local record = fibers.create(work)
        fibers.cancel(record)
        wait(0)
        local first = #seen
        wait(0)
        return first, seen, record.status"""
    refused = [False, "FiberIsCancelled", "fiber is cancelled"]

    assert client.answers(evaluation(1, source), 1)[0].data == [1, [refused, refused], "dead"]


def test_a_cancelled_fiber_that_ignores_it_holds_nobody_up(client: Client) -> None:
    source = """
        local record = fibers.create(function() while not enough do pcall(wait, 3600) end end)
        fibers.cancel(record)
        for _ = 1, 10 do wait(0) end
        enough = true
        wait(0) wait(0)
        return record.status"""

    assert client.answers(evaluation(1, source) + ping(2), 2)[1].data == ["dead"]


def test_a_cancelled_request_is_answered_with_the_error(engine: Engine, client: Client) -> None:
    client.send(evaluation(1, "mine = fibers.current() wait(3600)"))
    assert client.slot.in_flight == 1
    engine.execute("fibers.cancel(mine)")

    (answer,) = client.answers(b"", 1)
    assert error_of(answer) == (32, "fiber is cancelled")
    assert client.slot.in_flight == 0


@pytest.mark.parametrize(
    "source",
    [
        "table.sort({3, 2, 1}, function(a, b) wait(0) return a < b end)",
        "('x'):gsub('x', function() wait(0.001) end)",
        "return setmetatable({}, {__serialize = function() wait(0) end})",
        "return setmetatable({}, {__serialize = function() wait(3600) end})",
    ],
)
def test_where_nothing_can_wait(engine: Engine, client: Client, source: str) -> None:
    code, text = error_of(client.eval(source))

    assert code == 32
    assert text.endswith("attempt to yield across C-call boundary")
    assert client.slot.in_flight == 0
    assert engine.execute("return require('beespace.engine.timers').count()") == 0
    assert client.in_step()


def test_fibers_that_create_fibers_without_end(client: Client) -> None:
    source = """
        local count = 0
        local function breed(left)
          count = count + 1
          if left > 0 then fibers.create(breed, left - 1) end
        end
        fibers.create(breed, 5000)
        while count <= 5000 do wait(0) end
        return count"""

    assert client.answers(evaluation(1, source), 1)[0].data == [5001]


def test_a_fiber_that_fails_is_reported(engine: Engine) -> None:
    engine.execute(
        """
        told = {}
        require('beespace.engine.fiber_records').failed = function(record, raised)
          told[1] = record.name told[2] = raised
        end
        fibers.create(function() error('broken', 0) end)
        """
    )
    assert engine.execute("return unpack(told)") == (b"lua", b"broken")


def test_the_application_may_wait(engine: Engine) -> None:
    text = b"""
        fibers = fibers_of_test
        local before = fibers.clock()
        fibers.start(function() fibers.suspend(0.002) helper_done = true end)
        fibers.suspend(0.2)
        waited = fibers.clock() - before
        """
    engine.execute("fibers_of_test = fibers")
    engine.call_main("load", b"/srv/app.lua", text)

    assert engine.execute("return waited >= 0.2 and helper_done") is True


def test_many_short_fibers_leave_nothing_behind(engine: Engine, client: Client) -> None:
    source = """
        for _ = 1, 1000 do
          for _ = 1, 10 do fibers.start(fibers.suspend, 0) end
          wait(0) wait(0) wait(0)
        end
        return require('beespace.engine.fiber_records').count"""
    client.answers(evaluation(1, source), 1)
    engine.execute("collectgarbage() collectgarbage()")
    before = engine.execute("return collectgarbage('count')")
    for number in range(2, 7):
        assert client.answers(evaluation(number, source), 1)[0].data == [1]
    engine.execute("collectgarbage() collectgarbage()")

    # One that is kept has more than 200 bytes; traces that are made now have some, too.
    assert engine.execute("return collectgarbage('count')") - before < 1024
    assert engine.execute("return require('beespace.engine.fiber_records').count") == 0
