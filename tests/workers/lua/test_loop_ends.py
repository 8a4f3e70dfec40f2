"""The loop with a client that does not read, and with one that goes: nothing is lost or left."""

from __future__ import annotations

import pytest

from tests.helpers.engine import Client, Engine, echo, errors_of
from tests.helpers.raw import EVAL, frame, ping, request

PENDING_MAX = 1 << 20
LENGTH_ERROR = (20, "Invalid MsgPack - packet length")


# Back-pressure -----------------------------------------------------------------------------------


def test_a_reader_that_stops_and_resumes(engine: Engine) -> None:
    """Far more answers than any buffer takes: requests wait in the socket, memory stays bounded."""
    with engine.connect() as client:
        count = 40_000
        text = "y" * 500
        data = b"".join(
            request({0: EVAL, 1: k}, {0x27: "return ...", 0x21: [k, text]}) for k in range(count)
        )
        sent = 0
        highest = 0
        for _ in range(2000):
            taken = client.offer(data[sent : sent + 300_000])
            sent += taken
            turns = engine.run()
            highest = max(highest, sum(client.held()))
            if taken + turns == 0:
                break
        assert client.slot.pending_out > PENDING_MAX
        assert sent < len(data)
        assert highest < 8 * PENDING_MAX

        while sent < len(data):
            client.take()
            engine.run()
            sent += client.offer(data[sent : sent + 300_000])
            highest = max(highest, sum(client.held()))
        client.read()
        answers = client.packets()

        assert [answer.sync for answer in answers] == list(range(count))
        assert all(answer.data == [answer.sync, text] for answer in answers)
        assert highest < 8 * PENDING_MAX
        assert client.slot.pending_out == 0
        assert client.held() == (0, 0)
        assert client.in_step()


def stopped_client(engine: Engine) -> Client:
    """A session that is not read any more, with requests and answers waiting."""
    client = engine.connect()
    big = request({0: EVAL, 1: 1}, {0x27: "return ('z'):rep(900000)"})
    client.offer(big * 20)
    engine.run()
    assert client.slot.pending_out > PENDING_MAX
    return client


def test_a_stopped_session_does_not_stop_others(engine: Engine) -> None:
    stopped = stopped_client(engine)
    with engine.connect() as other:
        assert other.in_step()
    stopped.read()
    assert [len(answer.data[0]) for answer in stopped.packets()] == [900_000] * 20
    stopped.close()


def test_broken_input_behind_waiting_answers(engine: Engine) -> None:
    client = stopped_client(engine)
    client.offer(b"\xff" * 10)
    client.read()
    answers = client.packets()

    assert errors_of(answers) == [(0, "")] * 20 + [LENGTH_ERROR]
    assert client.ended
    client.close()
    assert not client.exists


# Closing -----------------------------------------------------------------------------------------


def assert_gone(client: Client) -> None:
    assert not client.exists
    assert client.slot.state == 0
    assert client.engine.row.sessions == 0
    assert buffers_count(client.engine) == 0


def buffers_count(engine: Engine) -> int:
    """Sessions' buffers that are allocated."""
    return int(
        engine.execute(
            """
            local sessions, count = require('beespace.engine.sessions'), 0
            for fd = 0, 200 do
              if sessions.all[fd].buffers ~= nil then count = count + 1 end
            end
            return count
            """
        )
    )


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        ping(1),
        ping(1)[:3],
        echo(1, b"x" * 3_000_000)[:150_000],
        ping(1) * 100,
        b"\xff",
        b"\x00",
        frame(b"\x80"),
    ],
    ids=["nothing", "ping", "piece", "long-piece", "many", "broken", "zero", "error"],
)
@pytest.mark.parametrize("served", [True, False])
def test_a_client_that_goes(engine: Engine, sent: bytes, served: bool) -> None:
    client = engine.connect()
    freed = engine.row.freed
    client.offer(sent)
    if served:
        engine.run()
    client.close()

    assert engine.row.freed == freed + 1
    assert_gone(client)


def test_a_stopped_client_that_goes(engine: Engine) -> None:
    client = stopped_client(engine)
    assert buffers_count(engine) == 1
    client.close()

    assert_gone(client)


def test_a_client_that_goes_while_its_answers_are_sent_early(engine: Engine) -> None:
    client = engine.connect()
    client.offer(request({0: EVAL, 1: 1}, {0x27: "return ('z'):rep(100000)"}) * 50)
    client.close()

    assert_gone(client)
    with engine.connect() as other:
        assert other.in_step()


def test_half_close_ends_the_session(engine: Engine) -> None:
    client = engine.connect()
    client.socket.shutdown(1)
    client.read()

    assert client.ended
    assert_gone(client)
    client.close()


def test_a_steady_client_does_not_hold_up_what_is_due(engine: Engine) -> None:
    engine.execute("require('beespace.engine.state').st.next_tick = 0")
    with engine.connect() as client:
        assert client.in_step()
        assert engine.execute("return require('beespace.engine.state').st.next_tick") > 0


def test_reassigned_globals_do_not_reach_the_engine() -> None:
    with Engine() as engine, engine.connect() as client:
        client.eval("math, table, type, error, tostring, pairs = nil")
        with engine.connect() as other:
            assert other.in_step()
