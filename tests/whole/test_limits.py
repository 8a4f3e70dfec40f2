"""Big values, long pipelines, clients that do not read, or send slowly, or half-close."""

from __future__ import annotations

import contextlib
import socket
import time
from pathlib import Path

from tests.helpers.raw import CALL, GREETING_SIZE, ClosedError, Raw, ping, request
from tests.helpers.server import DATA, Server
from tests.helpers.wait import wait_until
from tests.whole.conftest import Start, await_gone

MEGABYTE = 1 << 20
PAGE = 4096


def resident(pid: int) -> int:
    """Bytes of memory a process has in RAM."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


def test_large_argument(client: Raw) -> None:
    size = 20 * MEGABYTE
    assert client.call("length", "x" * size).data == [size]
    client.ping()


def test_large_result(client: Raw) -> None:
    answer = client.eval("return ('0123456789'):rep(...)", MEGABYTE // 2)
    assert answer.data == ["0123456789" * (MEGABYTE // 2)]
    client.ping()


def test_large_both_ways(client: Raw) -> None:
    value = ["x" * MEGABYTE, list(range(50_000)), {"y": "z" * MEGABYTE}]
    assert client.call("echo", value).data == [value]


def test_ten_thousand_requests_in_one_send(client: Raw) -> None:
    count = 10_000
    packets = (request({0: CALL, 1: i}, {0x22: "echo", 0x21: [i, "x"]}) for i in range(count))
    client.send(b"".join(packets))
    told = [(answer.sync, answer.data) for answer in client.packets(count)]
    assert told == [(i, [i, "x"]) for i in range(count)]


def test_a_client_that_does_not_read(start: Start) -> None:
    """50 MB of answers wait at the client's side of the wire, not in the server."""
    server = start(app=DATA / "whole_app.lua", workers=1)
    count, size = 500, 100_000
    source = f"local i = ... return i, (('x'):rep({size}))"
    with Raw(server.address) as witness, Raw(server.address, receive=16384, deadline=20) as deaf:
        worker = witness.call("whereami").data[2]
        witness.eval(source, 1)
        before = resident(worker)
        packets = (request({0: 8, 1: i}, {0x27: source, 0x21: [i]}) for i in range(count))
        deaf.send(b"".join(packets))
        grown = []
        for i in range(200):
            assert witness.call("echo", i).data == [i]
            grown.append(resident(worker) - before)
        assert max(grown) < 16 * MEGABYTE
        expected = "x" * size
        for i in range(count):
            answer = deaf.packet()
            assert (answer.sync, answer.data) == (i, [i, expected])
        deaf.ping()


def test_a_client_that_does_not_read_may_leave(start: Start) -> None:
    server = start(workers=1)
    with Raw(server.address) as witness:
        with Raw(server.address, receive=16384) as deaf:
            number = deaf.call("box.session.id").data[0]
            body = {0x27: "return ('x'):rep(100000)"}
            deaf.send(b"".join(request({0: 8, 1: i}, body) for i in range(200)))
            witness.ping()
        await_gone(witness, number)


def test_half_close_ends_the_session(shared: Server, client: Raw) -> None:
    with Raw(shared.address) as half:
        number = half.call("box.session.id").data[0]
        half.send(ping(1))
        half.socket.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ClosedError):
            assert half.packet().sync == 1
            half.wait_closed()
        await_gone(client, number)


def test_end_of_file_inside_a_packet(shared: Server, client: Raw) -> None:
    for cut in (1, 4, 6):
        with Raw(shared.address) as half:
            number = half.call("box.session.id").data[0]
            half.send(ping(1)[:cut])
            half.socket.shutdown(socket.SHUT_WR)
            half.wait_closed()
            await_gone(client, number)


def test_clients_with_half_a_packet_delay_nobody(shared: Server, client: Raw) -> None:
    message = request({0: CALL, 1: 9}, {0x22: "hello", 0x21: ["x" * 3000]})
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(Raw(shared.address)) for _ in range(100)]
        for step in range(10):
            for one in slow:
                one.send(message[step : step + 1])
            client.ping()
        assert all(one.quiet() for one in slow)
        for one in slow:
            one.send(message[10:])
        assert {one.packet().data[0] for one in slow} == {"hello, " + "x" * 3000}


def test_table_full(start: Start) -> None:
    server = start(workers=1, arguments=["--max-sessions", "4"])
    text = "session limit reached: 4 of 4 sessions are in use"
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        inside = [stack.enter_context(Raw(server.address)) for _ in range(4)]
        for _ in range(3):
            with Raw(server.address, greet=False) as refused:
                greeting = refused.take(GREETING_SIZE)
                assert greeting[:64] == inside[0].greeting[:64]
                answer = refused.packet()
                assert (answer.code, answer.sync, answer.text) == (104, 0, text)
                assert answer.stack[0][3] == text
                refused.wait_closed()
        for one in inside:
            one.ping()
        inside[0].close()
        wait_until(lambda: not _is_refused(server), deadline=10, what="a free slot")
        wait_until(lambda: server.lines("table full"), what="a line of the log")
        told = len(server.lines("table full"))
        assert told <= 1 + (time.monotonic() - began) / 10, server.log
        assert server.lines(r"table full .*refused=[1-9]")


def _is_refused(server: Server) -> bool:
    with Raw(server.address) as client:
        try:
            client.ping()
        except (ClosedError, AssertionError):
            return True
    return False


def test_many_connections_come_and_go(start: Start) -> None:
    server = start(workers=2, arguments=["--max-sessions", "64"])
    last = 0
    for _ in range(10):
        with contextlib.ExitStack() as stack:
            for _ in range(16):
                client = stack.enter_context(Raw(server.address))
                number = client.call("box.session.id").data[0]
                assert number > last
                last = number
