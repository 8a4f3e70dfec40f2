"""Code that is not wanted any more is ended: its request is cancelled, or its session is to end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from shm import logs, orders
from shm.launch import LogOrder
from shm.orders import Wish
from shm.running import Sight, own_code
from shm.states import EndReason
from tests.helpers.engine import Engine, error_of
from tests.helpers.journal import on
from tests.helpers.raw import PING, request
from tests.helpers.wait import wait_until
from tests.helpers.watchdog import BUSY, LOOPS, WAIT, guarded, hooked
from workers.watchdog import Limits


@contextmanager
def ordered(engine: Engine, session: int, wish: Wish) -> Iterator[None]:
    """Order this from another thread once code of the session runs."""
    running = "return tonumber(require('ffi').cast('uintptr_t', require('ffi').cast('void *', %s)))"
    state = "require('beespace.engine.state')."
    at, current = (int(engine.execute(running % f"{state}{name}")) for name in ("st", "cur"))
    sight = Sight(at, current, 0, 0)

    def order() -> None:
        wait_until(lambda: own_code(sight)[1] == session, what="its code")
        orders.place(engine.segment, [session], wish)

    thread = threading.Thread(target=order)
    thread.start()
    yield
    thread.join()


@pytest.fixture(scope="module")
def patient() -> Iterator[Engine]:
    """An engine that lets code run for as long as it likes."""
    with Engine() as made, guarded(made, Limits()):
        made.execute(WAIT)
        yield made


FIBER_CANCELLED = (32, "fiber is cancelled")


@pytest.mark.parametrize("source", LOOPS)
def test_a_busy_request_is_cancelled(patient: Engine, source: str) -> None:
    with patient.connect() as client:
        with ordered(patient, client.id, Wish.CANCEL):
            assert error_of(client.eval(source)) == FIBER_CANCELLED
        patient.run()
        assert client.in_step()
        assert not hooked(patient)
        assert orders.left(patient.segment, [client.id], Wish.CANCEL) == []


@pytest.mark.parametrize("source", [*LOOPS, "pause() while true do pcall(error) end"])
def test_a_busy_session_is_ended(patient: Engine, source: str) -> None:
    client = patient.connect()
    before = patient.row.ended[EndReason.KILLED]
    with ordered(patient, client.id, Wish.KILL):
        client.socket.send(request({0: 8, 1: 1}, {0x27: source}) * 3)
        patient.run_until(lambda: not client.exists)
    client.take()
    assert client.ended
    assert client.packets() == []
    assert patient.row.ended[EndReason.KILLED] == before + 1
    with patient.connect() as other:
        assert other.in_step()
        assert not hooked(patient)


def test_a_busy_on_connect_ends_with_its_session(patient: Engine) -> None:
    source = "if box.session.peer():find(':7$') then while true do pcall(error) end end"
    on(patient, "connect", source)
    on(patient, "disconnect", "reason = box.session.reason()")
    client = patient.connect(b"127.0.0.1:7", greet=False)
    with ordered(patient, client.id, Wish.KILL):
        patient.run_until(lambda: not client.exists)
    client.take()
    assert (client.ended, bytes(client.buffer)) == (True, b"")
    assert patient.execute("return reason") == b"killed"
    for event in ("connect", "disconnect"):
        patient.execute(f"box.session.on_{event}(nil, nil, 'test')")


def test_an_on_connect_is_no_request(patient: Engine) -> None:
    source = "local now = os.clock while now() < ends do pcall(error) end done = true"
    on(patient, "connect", f"if box.session.peer():find(':7$') then {source} end")
    patient.execute("ends = os.clock() + 0.3")
    with patient.connect(b"127.0.0.1:7", greet=False) as client:
        with ordered(patient, client.id, Wish.CANCEL):
            patient.run_until(lambda: patient.execute("return done"))
        patient.execute("box.session.on_connect(nil, nil, 'test')")
        assert client.exists


def test_an_on_disconnect_is_left_alone(patient: Engine) -> None:
    source = "local now = os.clock while now() < ends do pcall(error) end done = true"
    on(patient, "disconnect", source)
    patient.execute("done = nil ends = os.clock() + 0.3")
    client = patient.connect()
    client.socket.close()
    with ordered(patient, client.id, Wish.CANCEL):
        patient.run_until(lambda: not client.exists)
    assert patient.execute("return done")
    patient.execute("box.session.on_disconnect(nil, nil, 'test')")


def test_a_fiber_that_a_request_has_made_is_none_of_its_session(patient: Engine) -> None:
    """It runs at once, inside of the request, and only then can that be ended."""
    source = """
        done = nil
        background(function()
          local now = os.clock
          local ends = now() + 0.3
          while now() < ends do pcall(error) end
          done = true
        end)
        while true do pcall(error) end
        """
    with patient.connect() as client:
        with ordered(patient, client.id, Wish.CANCEL):
            assert error_of(client.eval(source)) == FIBER_CANCELLED
        assert patient.execute("return done")
        assert client.in_step()


def test_requests_behind_the_cancelled_one_are_answered(patient: Engine) -> None:
    packets = request({0: 8, 1: 1}, {0x27: LOOPS[4]}) + request(
        {0: 8, 1: 2}, {0x27: BUSY.format(0.3)}
    )
    with patient.connect() as client:
        with ordered(patient, client.id, Wish.CANCEL):
            answers = client.exchange(packets + request({0: PING, 1: 3}))
        assert [error_of(each) for each in answers] == [FIBER_CANCELLED, (0, ""), (0, "")]


def test_what_is_unwanted_is_named_once(patient: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure(LogOrder(), "worker-0")
    with patient.connect() as client:
        with ordered(patient, client.id, Wish.CANCEL):
            client.eval(LOOPS[4])
        (line,) = capfd.readouterr().err.splitlines()
        assert f"/{client.id} W> code runs whose request is cancelled: ending it" in line
        assert "request=eval while true do pcall(function() end) end" in line
