"""box.workers with one worker, which asks itself: results, errors, rights, time limits."""

from __future__ import annotations

import pytest

from tests.helpers.engine import Client, Engine, error_of
from tests.helpers.requests import evaluation


@pytest.fixture(autouse=True)
def functions(engine: Engine) -> None:
    engine.execute(
        """
        wait = require('beespace.engine.fibers').suspend
        function add(...)
          local sum = 0
          for _, n in ipairs({...}) do sum = sum + n end
          return sum
        end
        object = {method = function(self, x) return self == object, x end}
        """
    )


def ask(client: Client, source: str) -> object:
    (answer,) = client.answers(evaluation(1, source), 1)
    return answer.data if answer.type == 0 else error_of(answer)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("return box.workers.count(), box.workers.id()", [1, 0]),
        ("return box.workers.call('add', {1, 2, 3})", [[[6]]]),
        ("return box.workers.call('add')", [[[0]]]),
        ("return box.workers.call('object:method', {5})", [[[True, 5]]]),
        (
            "return box.workers.eval('return ...', {1, nil, 3, nil, n = 4})",
            [[[1, None, 3, None]]],
        ),
        ("return box.workers.eval('return')", [[[]]]),
        ("return box.workers.eval('wait(0.001) return 1, {2}')", [[[1, [2]]]]),
        ("return box.workers.call('add', {1, 2}, {target = 'all'})", [[[3]]]),
        ("return box.workers.eval('return 1, nil', {}, {target = 'all'})", [[[1, None]]]),
        ("return box.workers.call('add', {1}, {target = 0})", [[[1]]]),
        ("return box.workers.call('add', {1}, {target = 'any', timeout = 60})", [[[1]]]),
    ],
)
def test_results(client: Client, source: str, expected: list[object]) -> None:
    assert ask(client, source) == expected


def test_the_fiber_has_no_session_and_the_callers_rights(client: Client) -> None:
    source = """
        return box.workers.eval([[return box.session.id(), box.session.type(),
          box.session.effective_user(), box.session.sync()]])"""
    assert ask(client, source) == [[[0, "background", "guest", 0]]]


@pytest.mark.parametrize(
    ("source", "code", "text"),
    [
        ("box.workers.call('nosuch')", 33, "worker 0: Procedure 'nosuch' is not defined"),
        ("box.workers.eval('error(\"no\", 0)')", 32, "worker 0: no"),
        ("box.workers.eval('=')", 32, "worker 0: eval:1: unexpected symbol near '='"),
        (
            "box.workers.eval('box.error(45, ...)', {'bob'})",
            45,
            "worker 0: User 'bob' is not found",
        ),
        ("box.workers.eval('return print')", 32, "worker 0: unsupported Lua type 'function'"),
        ("box.workers.eval('wait(60)', {}, {timeout = 0.01})", 78, "worker 0: Timeout exceeded"),
        ("box.workers.eval('return ...', {print})", 32, "unsupported Lua type 'function'"),
    ],
)
def test_errors_are_the_callers(client: Client, source: str, code: int, text: str) -> None:
    assert ask(client, source) == (code, text)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("1", "expected a string as 1 argument"),
        ("'add', 1", "expected a table of arguments as 2 argument"),
        ("'add', {}, 1", "expected a table of options as 3 argument"),
        ("'add', {}, {timeout = 'x'}", "timeout: expected a number of seconds"),
        ("'add', {}, {tiemout = 1}", "expected the options target and timeout, got 'tiemout'"),
        ("'add', {}, {target = 1}", "target: expected 'all', 'any' or a worker from 0 to 0"),
        ("'add', {}, {target = 'one'}", "target: expected 'all', 'any' or a worker from 0 to 0"),
    ],
)
def test_wrong_arguments(client: Client, arguments: str, text: str) -> None:
    usage = "box.workers.call(name[, arguments[, options]])"
    assert ask(client, f"box.workers.call({arguments})") == (1, f"{usage}: {text}")


def test_an_errand_of_a_caller_that_was_cancelled(engine: Engine, client: Client) -> None:
    engine.execute("fibers = require('beespace.engine.fibers')")
    client.send(evaluation(1, "me = fibers.current() box.workers.eval('wait(9)')"))
    engine.execute("fibers.cancel(me)")
    (answer,) = client.answers(b"", 1)
    assert error_of(answer) == (32, "fiber is cancelled")
    assert client.in_step()


def test_where_nothing_can_wait(client: Client) -> None:
    source = "table.sort({2, 1}, function() box.workers.call('add') return true end)"
    code, text = error_of(client.eval(source))
    assert (code, text[-39:]) == (32, "attempt to yield across C-call boundary")


def test_nothing_runs_where_its_caller_cannot_wait(engine: Engine, client: Client) -> None:
    engine.execute("ran = 0 function count() ran = ran + 1 end")
    source = "table.sort({2, 1}, function() box.workers.call('count') return true end)"
    client.eval(source)
    client.read()
    assert engine.execute("return ran") == 0


def test_what_the_last_process_of_the_row_left_is_nothing_to_this_one(
    engine: Engine, client: Client
) -> None:
    engine.execute("ran = 0 function count() ran = ran + 1 end")
    source = """
        local row = require('beespace.engine.table').row
        row.pid = 4711
        require('beespace.engine.fibers').start(function() row.pid = 4712 end)
        box.workers.call('count', {}, {timeout = 1})"""
    try:
        assert ask(client, source) == (77, "worker 0: the worker has ended")
    finally:
        engine.row.pid = 0
    assert engine.execute("return ran") == 0


def test_an_answer_for_another_process_answers_nobody(engine: Engine, client: Client) -> None:
    engine.execute(
        """
        local bus, codec = require('beespace.engine.bus'), require('beespace.engine.codec')
        for number = 1, 100 do
          bus.send(0, bus.KIND.RPC_REPLY, codec.pack(number) .. codec.pack(true) .. codec.pack(0))
        end
        """
    )
    assert ask(client, "return box.workers.call('add', {1, 2, 3})") == [[[6]]]


def test_a_result_that_no_message_holds(engine: Engine, client: Client) -> None:
    engine.execute("require('beespace.engine.bus').MAX_MESSAGE = 1000")
    try:
        found = ask(client, "return box.workers.eval(\"return ('x'):rep(2000)\")")
    finally:
        engine.execute("require('beespace.engine.bus').MAX_MESSAGE = 256 * 1024 * 1024")
    assert found == (32, "worker 0: response too large")


def test_an_error_object_as_a_value_stays_one(client: Client) -> None:
    source = """
        local e = box.workers.eval('return ...', {box.error.new(45, 'bob')})[1][1]
        return e.code, e.message"""
    assert ask(client, source) == [45, "User 'bob' is not found"]
