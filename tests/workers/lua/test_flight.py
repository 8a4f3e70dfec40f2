"""Requests that wait: streams, the limit of a session, sessions whose client has left."""

from __future__ import annotations

import pytest

from tests.helpers.engine import Client, Engine, error_of
from tests.helpers.raw import PING, Packet, ping, request
from tests.helpers.requests import STREAM, evaluation


@pytest.fixture(autouse=True)
def functions(engine: Engine) -> None:
    engine.execute(
        "wait, gate = require('beespace.engine.fibers').suspend, require('fiber').cond()"
    )


def open_gate(engine: Engine) -> None:
    """Let everything go on that waits at the gate."""
    engine.execute("gate:broadcast()")


def test_a_stream_keeps_its_order(client: Client) -> None:
    sleep = "order = order or {} wait(...) order[#order + 1] = box.session.sync() return ..."
    answers = client.answers(
        evaluation(1, sleep, 0.2, stream=7)
        + evaluation(2, sleep, 0.002, stream=7)
        + evaluation(3, "return 3", stream=7)
        + evaluation(4, sleep, 0.001, stream=8)
        + evaluation(5, "error('no', 0)", stream=7)
        + request({0: PING, 1: 6, STREAM: 7})
        + evaluation(7, "return 7"),
        7,
    )

    assert [answer.sync for answer in answers] == [7, 4, 1, 2, 3, 5, 6]
    assert error_of(answers[5]) == (32, "no")
    assert client.slot.in_flight == 0


def test_a_stream_that_nobody_keeps_busy_is_answered_in_place(client: Client) -> None:
    answers = client.exchange(
        evaluation(1, "return 1", stream=7) + ping(2) + evaluation(3, "return 3", stream=7)
    )
    assert [answer.sync for answer in answers] == [1, 2, 3]


def test_session_functions_inside_a_queued_request(client: Client) -> None:
    source = "wait(0) return box.session.id(), box.session.sync(), box.session.effective_user()"
    answers = client.answers(
        evaluation(1, "wait(0.001)", stream=5) + evaluation(2, source, stream=5), 2
    )
    assert answers[1].data == [client.id, 2, "guest"]


def test_a_session_with_too_many_waiting_requests_is_not_read(engine: Engine) -> None:
    engine.execute("require('beespace.engine.flight').limit = 10")
    with engine.connect() as client, engine.connect() as other:
        work = "running = (running or 0) + 1 most = math.max(most or 0, running) gate:wait()"
        source = work + " running = running - 1 return box.session.sync()"
        data = b"".join(evaluation(sync, source) for sync in range(1, 101))
        client.offer(data)
        engine.turn()
        assert client.slot.in_flight == 10
        assert other.in_step()
        answers: list[Packet] = []

        def all_came() -> bool:
            open_gate(engine)
            client.take()
            answers.extend(client.packets())
            return len(answers) == 100

        engine.run_until(all_came)
        assert sorted(answer.sync for answer in answers) == list(range(1, 101))
        assert all(answer.data == [answer.sync] for answer in answers)
        assert engine.execute("return most") == 10
        assert client.held() == (0, 0)
        assert client.in_step()


def test_the_limit_counts_what_waits_for_its_stream(engine: Engine) -> None:
    engine.execute("require('beespace.engine.flight').limit = 10")
    with engine.connect() as client:
        data = b"".join(evaluation(n, "wait(0) return ...", n, stream=1) for n in range(1, 51))
        client.offer(data)
        engine.turn()
        assert client.slot.in_flight <= 10
        assert [answer.sync for answer in client.answers(b"", 50)] == list(range(1, 51))


MEGABYTE = 1 << 20
LUA_MEMORY = "collectgarbage() collectgarbage() return collectgarbage('count') * 1024"


def test_bytes_kept_for_a_busy_stream_are_bounded(engine: Engine) -> None:
    """However long the packets are: past a megabyte of them the session is not read."""
    with engine.connect() as client, engine.connect() as other:
        before = engine.execute(LUA_MEMORY)
        client.send(evaluation(0, "repeat wait(0.001) until go return 0", stream=1))
        size, count = MEGABYTE * 3 // 4, 50
        data = evaluation(1, "return #(...)", "x" * size, stream=1) * count
        sent = 0
        while taken := client.offer(data[sent : sent + MEGABYTE]):
            engine.run()
            sent += taken
        assert sent < 16 * MEGABYTE
        assert client.slot.in_flight < 8
        assert engine.execute(LUA_MEMORY) - before < 4 * MEGABYTE
        assert other.in_step()

        engine.execute("go = true")
        view = memoryview(data)[sent:]
        answers: list[Packet] = []

        def all_came() -> bool:
            nonlocal view
            view = view[client.offer(view) :]
            client.take()
            answers.extend(client.packets())
            return len(answers) > count

        engine.run_until(all_came)
        assert [answer.data for answer in answers] == [[0], *[[size]] * count]


def test_one_long_packet_waits_for_its_stream(client: Client) -> None:
    answers = client.answers(
        evaluation(1, "wait(0.002) return 1", stream=1)
        + evaluation(2, "return #(...)", "x" * (5 * MEGABYTE), stream=1)
        + evaluation(3, "return 3", stream=1)
        + evaluation(4, "return 4"),
        4,
    )
    assert [answer.data for answer in answers] == [[1], [5 * MEGABYTE], [3], [4]]
    assert client.slot.in_flight == 0
    assert client.held() == (0, 0)


def test_what_a_client_that_left_had_kept_is_given_up(engine: Engine) -> None:
    before = engine.execute(LUA_MEMORY)
    clients = [engine.connect() for _ in range(20)]
    engine.execute("go = false")
    for client in clients:
        client.send(evaluation(0, "repeat wait(0.001) until go", stream=1))
        client.send(evaluation(1, "return 1", "x" * MEGABYTE, stream=1))
        client.close()
    assert all(client.exists for client in clients)
    assert engine.execute(LUA_MEMORY) - before < 4 * MEGABYTE
    engine.execute("go = true")
    engine.run_until(lambda: not any(client.exists for client in clients))


def test_a_session_exists_until_its_last_request_has_ended(engine: Engine) -> None:
    source = """
        box.session.storage.kept = 'yes'
        local before = {box.session.closed(), box.session.fd() >= 0, box.session.sync()}
        gate:wait()
        seen = {before, {box.session.closed(), box.session.fd(), box.session.sync(),
          box.session.id(), box.session.storage.kept, box.session.exists(), box.session.peer()}}"""
    client = engine.connect(peer=b"127.0.0.1:4711")
    client.send(evaluation(5, source))
    client.close()

    assert client.exists
    assert engine.row.sessions == 1
    open_gate(engine)
    engine.run_until(lambda: not client.exists)
    assert engine.row.sessions == 0
    seen = engine.execute("return require('json').encode(seen)").decode()
    after = f'[true,-1,0,{client.id},"yes",1,"127.0.0.1:4711"]'
    assert seen == f"[[false,true,5],{after}]"
    stored = "return getmetatable(box.session).aggregate_storage[...] == nil"
    assert engine.execute(stored, client.id) is True


def test_queued_requests_of_a_client_that_left_do_not_run(engine: Engine) -> None:
    client = engine.connect()
    ran = "ran = (ran or 0) + 1"
    client.send(
        evaluation(1, "gate:wait()", stream=3)
        + evaluation(2, ran, stream=3)
        + evaluation(3, ran, stream=3)
    )
    client.close()
    open_gate(engine)
    engine.run_until(lambda: not client.exists)

    assert engine.execute("return ran") is None


def test_a_new_session_on_the_same_descriptor_gets_nothing_of_the_old(engine: Engine) -> None:
    first = engine.connect()
    first.send(evaluation(1, "gate:wait() return 'old'"))
    fd = first.fd
    first.close()
    with engine.connect() as second:
        assert second.fd == fd
        open_gate(engine)
        engine.run_until(lambda: not first.exists)
        assert second.in_step()


def test_a_request_that_closes_its_session_and_then_waits(engine: Engine) -> None:
    client = engine.connect()
    close = "require('beespace.engine.sessions').close(box.session.fd()) "
    client.send(evaluation(1, close + "wait(0.001) lost = box.session.closed()"))
    with engine.connect() as other:
        engine.run_until(lambda: engine.execute("return lost"))
        assert engine.execute("return require('beespace.engine.flight').total") == 0
        assert other.slot.in_flight == 0
        assert other.in_step()
    assert not client.exists
    client.close()


def test_the_end_frees_what_still_waits(engine: Engine) -> None:
    client = engine.connect()
    client.send(evaluation(1, "wait(3600)"))
    client.close()
    assert client.exists
    engine.execute("require('beespace.engine.sessions').close_all()")

    assert not client.exists


def test_the_last_request_is_as_late_as_the_end_of_one_that_waits(client: Client) -> None:
    client.send(evaluation(1, "gate:wait() wait(0.05) return 1"))
    begun = client.slot.last_request
    assert client.slot.in_flight == 1
    open_gate(client.engine)
    client.answers(b"", 1)
    # The coarse clock is a few milliseconds behind.
    assert client.slot.last_request > begun + 0.03


def test_a_request_without_client_from_the_start_leaves_the_slot_to_the_others(
    client: Client,
) -> None:
    """It was no reason to keep the slot, so its end is none to give it up."""
    slot, number = client.slot, client.id
    client.engine.execute("gone = {}")
    leave = "require('beespace.engine.sessions').close(box.session.fd()) wait(0.001) gone.me = true"
    client.offer(evaluation(1, "gate:wait() gone.other = true") + evaluation(2, leave))
    client.engine.run_until(lambda: client.engine.execute("return gone.me == true"))
    assert client.engine.execute("return gone.other == nil")
    assert (slot.id, slot.in_flight) == (number, 1)
    open_gate(client.engine)
    client.engine.run_until(lambda: slot.id == 0)
    assert client.engine.execute("return gone.other == true")


def test_what_waits_is_counted_down_after_the_client_has_left(client: Client) -> None:
    client.offer(b"".join(evaluation(n, "gate:wait()") for n in (1, 2, 3)))
    client.engine.turn()
    slot, number = client.slot, client.id
    assert (slot.id, slot.in_flight) == (number, 3)
    client.close()
    assert (slot.id, slot.in_flight) == (number, 3)
    for left in (2, 1):
        client.engine.execute("gate:signal()")
        client.engine.turn()
        assert (slot.id, slot.in_flight) == (number, left)
    open_gate(client.engine)
    client.engine.run_until(lambda: slot.id == 0)


def test_nothing_waits_to_be_sent_once_the_socket_is_closed(engine: Engine) -> None:
    with engine.connect(buffer=1) as client:
        source = "return ('x'):rep(100000)"
        client.offer(evaluation(1, f"gate:wait() {source}") + evaluation(2, f"wait(0) {source}"))
        slot = client.slot
        engine.run_until(lambda: slot.pending_out > 0)
        client.close()
        assert (slot.id, slot.in_flight, slot.pending_out) == (client.id, 1, 0)
        open_gate(engine)
        engine.run_until(lambda: slot.id == 0)
