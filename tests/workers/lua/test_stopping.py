"""The orderly end: who holds it up, for how long, and what happens to requests that still wait."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest

from tests.helpers.engine import Client, Engine, error_of
from tests.helpers.requests import evaluation
from tests.workers.lua.tries import tried_again

SETUP = """
wait = require('beespace.engine.fibers').suspend
stopping = require('beespace.engine.stopping')
stopping.finish = function() finished = true end
"""


@contextlib.contextmanager
def prepared() -> Iterator[Engine]:
    with Engine() as made:
        made.execute(SETUP)
        yield made


@pytest.fixture
def engine() -> Iterator[Engine]:
    with prepared() as made:
        yield made


def begin(engine: Engine, timeout: float = 5) -> None:
    """Ask the worker to end, as the supervisor does."""
    engine.execute("stopping.timeout = ...", timeout)
    engine.asked = b"drain"
    engine.execute("require('beespace.engine.loop').attend_to_python()")
    # The harness ends every turn with an end of its own.
    engine.asked = b"end"


def finished(engine: Engine) -> bool:
    return bool(engine.execute("return finished"))


def test_nothing_holds_an_idle_worker_up(engine: Engine, client: Client) -> None:
    begin(engine)
    engine.run_until(lambda: finished(engine))
    assert engine.execute("return stopping.begun()") is True


def test_it_begins_also_while_the_loop_leaves_for_new_traces(engine: Engine) -> None:
    engine.execute("""
        local st = require('beespace.engine.state').st
        st.stop = require('beespace.engine.loop').CURE""")
    begin(engine)
    engine.run_until(lambda: finished(engine))


def test_a_waiting_request_is_answered_first(engine: Engine, client: Client) -> None:
    client.send(evaluation(1, "repeat wait(0.01) until go return 'done'"))
    begin(engine)
    assert client.in_step()
    assert not finished(engine)
    engine.execute("go = true")
    (answer,) = client.answers(b"", 1)

    assert answer.data == ["done"]
    engine.run_until(lambda: finished(engine))


def test_requests_that_outlast_the_time_are_cancelled(engine: Engine, client: Client) -> None:
    client.send(evaluation(1, "wait(3600)"))
    started = time.monotonic()
    begin(engine, 0.05)
    (answer,) = client.answers(b"", 1)

    assert error_of(answer) == (32, "fiber is cancelled")
    engine.run_until(lambda: finished(engine))
    assert 0.05 <= time.monotonic() - started < 4


def test_a_request_that_ignores_its_cancellation_does_not_hold_for_ever(engine: Engine) -> None:
    client = engine.connect()
    client.send(evaluation(1, "while true do pcall(wait, 0.01) end"))
    begin(engine, 0.01)
    engine.run_until(lambda: finished(engine))
    client.socket.close()


def test_shutdown_functions_run_newest_first_and_hold_the_end_up(engine: Engine) -> None:
    engine.execute(
        """
        order, failures = {}, {}
        stopping.failed = function(text) failures[#failures + 1] = text end
        box.ctl.on_shutdown(function() order[#order + 1] = 'first' end)
        box.ctl.on_shutdown(function() order[#order + 1] = 'slow' wait(0.03) slept = true end)
        box.ctl.on_shutdown(function() order[#order + 1] = 'bad' error('no', 0) end)
        """
    )
    begin(engine)
    engine.run_until(lambda: finished(engine))

    assert engine.execute("return table.concat(order, ' '), slept, failures[1]") == (
        b"bad slow first",
        True,
        b"no",
    )


def test_whoever_holds_is_asked_again(engine: Engine) -> None:
    engine.execute("held = true stopping.hold(function() return held end)")
    begin(engine)
    engine.run()
    engine.turn()
    assert not finished(engine)
    engine.execute("held = false stopping.look()")
    engine.run_until(lambda: finished(engine))


def test_the_announcement_comes_once(engine: Engine) -> None:
    engine.execute("count = 0 stopping.announce = function() count = count + 1 end")
    begin(engine)
    begin(engine)
    engine.run_until(lambda: finished(engine))
    assert engine.execute("return count") == 1


PARTING = """
log = {}
stopping.cut_off = function(count) log[#log + 1] = 'cut off ' .. count end
fiber = require('fiber')
function on_disconnect(f) box.session.on_disconnect(f, nil, 'test') end
"""


def log(engine: Engine) -> list[str]:
    text: bytes = engine.execute("return table.concat(log, '|')")
    return text.decode().split("|") if text else []


@tried_again
def test_on_disconnect_has_a_share_of_the_time() -> None:
    with prepared() as engine:
        engine.execute(PARTING)
        engine.execute("on_disconnect(function() fiber.sleep(0.45) log[#log + 1] = 'done' end)")
        clients = [engine.connect() for _ in range(6)]
        clients[0].send(evaluation(1, "wait(3600)"))
        started = time.monotonic()
        begin(engine, 0.9)
        (answer,) = clients[0].answers(b"", 1)

        assert error_of(answer) == (32, "fiber is cancelled")
        assert 0.6 <= time.monotonic() - started < 0.9
        engine.run_until(lambda: finished(engine))
        assert log(engine) == ["done"] * 6
        for client in clients:
            client.close()


@tried_again
def test_without_on_disconnect_requests_have_all_the_time() -> None:
    with prepared() as engine, engine.connect() as client:
        client.send(evaluation(1, "wait(0.85) return 'done'"))
        begin(engine, 1.2)
        (answer,) = client.answers(b"", 1)
        assert answer.data == ["done"]


def test_requests_behind_one_that_is_cancelled_are_cancelled_too(
    engine: Engine, client: Client
) -> None:
    naps = [evaluation(sync, "wait(3600)", stream=7) for sync in (1, 2, 3)]
    client.send(b"".join(naps))
    begin(engine, 0.1)
    answers = client.answers(b"", 3)

    assert [error_of(answer) for answer in answers] == [(32, "fiber is cancelled")] * 3
    assert [answer.sync for answer in answers] == [1, 2, 3]
    engine.run_until(lambda: finished(engine))


BIG = 4_000_000


def unread(engine: Engine) -> Client:
    """A client that has not read its answer of BIG bytes, which its socket does not hold."""
    client = engine.connect(buffer=4096)
    client.offer(evaluation(1, f"return ('x'):rep({BIG})"))
    engine.run_until(lambda: client.slot.pending_out > BIG / 2)
    return client


def test_answers_are_read_before_the_end(engine: Engine) -> None:
    with unread(engine) as client:
        begin(engine, 60)
        for _ in range(5):
            engine.turn()
        assert not finished(engine)
        (answer,) = client.answers(b"", 1)
        assert len(answer.data[0]) == BIG
        engine.run_until(lambda: finished(engine))


def test_who_leaves_without_reading_holds_nothing_up(engine: Engine) -> None:
    client = unread(engine)
    begin(engine, 60)
    engine.turn()
    assert not finished(engine)
    client.socket.close()
    engine.run_until(lambda: finished(engine))


def test_who_does_not_read_holds_the_end_up_until_the_time_is_over(engine: Engine) -> None:
    with unread(engine):
        started = time.monotonic()
        begin(engine, 0.3)
        engine.run_until(lambda: finished(engine))
        assert time.monotonic() - started >= 0.3


def test_an_answer_of_the_last_turn_is_sent(engine: Engine, client: Client) -> None:
    """The worker has not turned until both the request's wait and the time for it are over."""
    client.send(evaluation(1, "wait(0.3) return 'done'"))
    begin(engine, 0.4)
    engine.turn()
    time.sleep(0.6)
    (answer,) = client.answers(b"", 1)
    assert answer.data == ["done"]
    engine.run_until(lambda: finished(engine))


def test_on_disconnect_that_outlasts_the_time_is_cut_off(engine: Engine) -> None:
    engine.execute(PARTING)
    engine.execute("""
        on_disconnect(function()
          if box.session.storage.quick then return end
          local _, raised = pcall(fiber.sleep, 60)
          log[#log + 1] = tostring(raised)
        end)""")
    clients = [engine.connect() for _ in range(3)]
    clients[0].eval("box.session.storage.quick = true")
    started = time.monotonic()
    begin(engine, 0.1)
    engine.run_until(lambda: finished(engine))

    assert log(engine) == ["cut off 2"] + ["fiber is cancelled"] * 2
    assert 0.5 <= time.monotonic() - started < 4
    assert engine.row.sessions == 0
    for client in clients:
        client.close()


def test_on_disconnect_that_has_begun_before_is_cancelled_last(engine: Engine) -> None:
    engine.execute(PARTING)
    engine.execute("""
        on_disconnect(function() fiber.sleep(0.4) log[#log + 1] = 'done' end)""")
    engine.connect().close()
    begin(engine, 0.3)
    engine.run_until(lambda: finished(engine))
    assert log(engine) == ["done"]


def test_on_disconnect_that_ignores_its_cancellation_does_not_hold_for_ever(
    engine: Engine,
) -> None:
    engine.execute(PARTING)
    engine.execute("on_disconnect(function() while true do pcall(fiber.sleep, 0.01) end end)")
    engine.connect().close()
    started = time.monotonic()
    begin(engine, 0.1)
    engine.run_until(lambda: finished(engine))
    assert time.monotonic() - started < 4
    assert log(engine) == ["cut off 1"]
