"""Clients that mean harm: the worker lives, the others are served, memory is bounded."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Callable, Iterator
from functools import partial

import msgpack
import psutil
import pytest

from tests.helpers.raw import CALL, EVAL, PING, ClosedError, Raw, frame, pack, ping, request
from tests.helpers.server import DATA, Server, running
from tests.helpers.wait import assert_within, wait_until
from tests.whole.conftest import Start, await_gone

MEGABYTE = 1 << 20
LONGEST = 4 * MEGABYTE
ABORT = struct.pack("ii", 1, 0)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One worker, packets of up to 4 MiB; the same worker at the end."""
    settings = {"iproto": {"max_packet_size": LONGEST}}
    folder = tmp_path_factory.mktemp("hostile")
    with running(folder, app=DATA / "whole_app.lua", workers=1, settings=settings) as made:
        before = made.worker_pids()
        yield made
        assert made.worker_pids() == before
        assert made.lines("stack traceback") == []


@pytest.fixture
def witness(server: Server) -> Iterator[Raw]:
    """Somebody who is served before and after."""
    with Raw(server.address) as client:
        client.ping()
        yield client
        client.ping()


@pytest.fixture
def client(server: Server, witness: Raw) -> Iterator[Raw]:
    with Raw(server.address) as connection:
        yield connection


def memory(witness: Raw) -> Callable[[], int]:
    """Tells by how many bytes the worker of a connection has grown."""
    process = psutil.Process(witness.call("whereami").data[2])
    before = process.memory_info().rss
    return lambda: int(process.memory_info().rss - before)


def refused(client: Raw, payload: bytes, sync: int = 1) -> tuple[int, str]:
    """Code and text of the answer to a payload; the connection goes on."""
    client.send(frame(payload))
    answer = client.packet()
    assert answer.sync == sync
    client.ping()
    return answer.code, answer.text


def evaluation(argument: bytes, source: str = "return select('#', ...)") -> bytes:
    """An EVAL whose only argument is given as bytes."""
    return pack({0: EVAL, 1: 1}) + b"\x82\x27" + pack(source) + b"\x21\x91" + argument


def test_thousands_of_bytes_one_by_one(server: Server, witness: Raw, client: Raw) -> None:
    data = request({0: CALL, 1: 5}, {0x22: "length", 0x21: ["x" * 3000]})
    for at in range(len(data)):
        client.send(data[at : at + 1])
        if at % 300 == 0:
            assert client.quiet()
            witness.ping()
    assert client.packet().data == [3000]


@pytest.mark.parametrize("left", [2 * MEGABYTE, 100_000, 6000])
def test_the_end_of_a_long_packet_byte_by_byte(client: Raw, left: int) -> None:
    data = request({0: CALL, 1: 5}, {0x22: "length", 0x21: ["x" * left]})
    client.send(data[:-2000])
    began = time.process_time()
    for byte in data[-2000:]:
        client.send(bytes([byte]))
    assert client.packet().data == [left]
    assert time.process_time() - began < 5


@pytest.mark.parametrize("claim", [LONGEST + 1, 64 * MEGABYTE, 2**31 - 1, 2**31, 2**32 - 1, 2**63])
def test_a_packet_that_claims_too_much(server: Server, client: Raw, claim: int) -> None:
    head = (
        b"\xce" + struct.pack(">I", claim) if claim < 2**32 else b"\xcf" + struct.pack(">Q", claim)
    )
    client.send(ping(1) + head + b"\x82")
    assert client.packet().sync == 1
    answer = client.packet()
    text = f"Invalid MsgPack - too big packet size in the header: {claim}"
    assert (answer.code, answer.sync, answer.text) == (20, 0, text)
    client.wait_closed()


def test_the_longest_packet_passes(client: Raw) -> None:
    empty = len(request({0: CALL, 1: 1}, {0x22: "length", 0x21: ["x" * MEGABYTE]})) - MEGABYTE
    for more in (0, 1):
        size = LONGEST + 5 - empty + more
        data = request({0: CALL, 1: 1}, {0x22: "length", 0x21: ["x" * size]})
        assert len(data) == LONGEST + 5 + more
        with contextlib.suppress(ClosedError):
            client.send(data)
        if more:
            assert client.packet().code == 20
            client.wait_closed()
        else:
            assert client.packet().data == [size]


def test_claims_that_are_not_kept_take_no_memory(server: Server, witness: Raw) -> None:
    grown = memory(witness)
    start = b"\xce" + struct.pack(">I", LONGEST) + evaluation(b"")[:-1] + b"\xdb\x00\x3f\x00\x00"
    with contextlib.ExitStack() as stack:
        for sent in (1, 5000):
            clients = [stack.enter_context(Raw(server.address)) for _ in range(100)]
            for each in clients:
                each.send(start + b"x" * sent)
            witness.ping()
    witness.eval("collectgarbage() collectgarbage()")
    assert grown() < 8 * MEGABYTE


@pytest.mark.parametrize("depth", [129, 10_000, 1_000_000])
@pytest.mark.parametrize("level", [b"\x91", b"\x81\x00", b"\x81", b"\xdd\x00\x00\x00\x01"])
@pytest.mark.parametrize("bottom", [b"", b"\x00", b"\xc1"])
def test_nesting_bombs(client: Raw, level: bytes, depth: int, bottom: bytes) -> None:
    bomb = (level * depth)[: LONGEST - 200] + bottom
    bad = (20, "Invalid MsgPack - packet body")
    assert refused(client, evaluation(bomb)) == bad
    if level != b"\x81\x00" or bottom != b"\x00":
        assert refused(client, pack({0: PING, 1: 1}) + b"\x81" + bomb) == bad
    assert refused(client, b"\x83\x00\x40\x01\x01" + bomb)[0] == 20


def test_huge_maps_of_nan_keys(client: Raw, witness: Raw) -> None:
    grown = memory(witness)
    count = 200_000
    nan = b"\xcb\x7f\xf8" + bytes(6) + b"\x01"
    source = "local t = ... return next(t) == nil"
    for _ in range(3):
        client.send(frame(evaluation(b"\xdf" + struct.pack(">I", count) + nan * count, source)))
        assert client.packet().data == [True]
    client.eval("collectgarbage() collectgarbage()")
    assert grown() < 32 * MEGABYTE


@pytest.mark.parametrize(
    "text", [b"\xff\xfe\xfd", b"\xc3\x28", b"\xed\xa0\x80", b"a\x00b", b"\x1b[2J\r\n"]
)
def test_text_that_is_no_text(server: Server, client: Raw, text: bytes) -> None:
    raw = bytes([0xA0 + len(text)]) + text
    client.send(frame(evaluation(raw, "return ...")))
    assert client.packet().body_bytes.endswith(raw)
    for payload in (
        pack({0: CALL, 1: 1}) + b"\x82\x22" + raw + b"\x21\x90",
        pack({0: EVAL, 1: 1}) + b"\x82\x27" + raw + b"\x21\x90",
        pack({0: 7, 1: 1}) + b"\x82\x23" + raw + b"\x21\x92\xa9chap-sha1" + b"\xb4" + b"x" * 20,
        evaluation(raw, "error(...)"),
        evaluation(raw, "print(...) require('log').error(...) error({...})"),
        evaluation(raw, "return _G[...].x"),
        evaluation(raw, "require(...)"),
    ):
        code, _ = refused(client, payload)
        assert code > 0


PAYLOADS = [b"", b"\x00", b"\xff" * 3, b"\x81\x00\x91", b"\x91" * 200, b"\x01\x00\xcf", b"\x7f\xff"]
KINDS = [1, 2, 3, 4, 5, 6, 7, 127, 128, 255]
EXTENSIONS = [bytes([0xC7, len(data), kind]) + data for kind in KINDS for data in PAYLOADS]
EXTENSIONS += [bytes([0xD4 + w, kind]) + b"\xff" * (1 << w) for w in range(5) for kind in KINDS]


def test_extensions_with_any_payload(client: Raw) -> None:
    for extension in EXTENSIONS:
        for argument in (extension, b"\x81" + extension + b"\x01", b"\x92\x01" + extension):
            client.send(frame(evaluation(argument, "return tostring((...)), ...")))
            answer = client.packet()
            assert answer.sync == 1
            assert answer.type == 0 or answer.code in (20, 32), answer
    client.ping()


def test_extensions_that_claim_more_than_is_there(client: Raw) -> None:
    for argument in (
        b"\xc9\xff\xff\xff\xff\x01",
        b"\xc8\xff\xff\x03",
        b"\xd8\x02",
        b"\xc7\x09\x01",
    ):
        assert refused(client, evaluation(argument))[1] == "Invalid MsgPack - packet body"


def test_connections_that_are_reset_in_the_middle_of_a_batch(server: Server, witness: Raw) -> None:
    source = "return ('x'):rep(...)"
    batch = b"".join(request({0: EVAL, 1: n}, {0x27: source, 0x21: [30_000]}) for n in range(300))
    numbers = []
    for size in (0, 1000, len(batch) // 2, len(batch) - 3, len(batch)):
        with Raw(server.address, receive=4096) as client:
            numbers.append(client.call("box.session.id").data[0])
            client.send(batch[:size])
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
        witness.ping()
    for number in numbers:
        await_gone(witness, number)


def test_clients_that_never_read_harm_nobody(server: Server, witness: Raw) -> None:
    grown = memory(witness)
    source = "return ('x'):rep(100000)"
    batch = b"".join(request({0: EVAL, 1: n}, {0x27: source}) for n in range(300))

    def slowest() -> float:
        """Seconds that another client waits for an answer while these do not read."""
        took = []
        with contextlib.ExitStack() as stack:
            for _ in range(10):
                deaf = stack.enter_context(Raw(server.address, receive=8192))
                deaf.send(batch)
            for _ in range(200):
                began = time.monotonic()
                witness.ping()
                took.append(time.monotonic() - began)
            assert grown() < 10 * 4 * MEGABYTE
        wait_until(lambda: grown() < 16 * MEGABYTE, 10, "memory of clients that have left")
        return max(took)

    assert_within(1, slowest)


def test_a_pipeline_that_is_never_read_stops(server: Server, witness: Raw) -> None:
    """Requests without end: the server stops reading them when their answers are not read."""
    grown = memory(witness)
    batch = b"".join(ping(n) for n in range(5000))
    with Raw(server.address, receive=8192) as client:
        client.socket.setblocking(False)
        sent = 0
        quiet_since = time.monotonic()
        while time.monotonic() - quiet_since < 0.3 and sent < 200 * MEGABYTE:
            with contextlib.suppress(BlockingIOError):
                sent += client.socket.send(batch[sent % len(batch) :])
                quiet_since = time.monotonic()
            witness.ping()
        assert sent < 100 * MEGABYTE
        assert grown() < 16 * MEGABYTE


def test_a_half_closed_connection_with_unread_answers(server: Server, witness: Raw) -> None:
    source = "return ('x'):rep(100000)"
    batch = b"".join(request({0: EVAL, 1: n}, {0x27: source}) for n in range(100))
    with Raw(server.address, receive=8192) as client:
        number = client.call("box.session.id").data[0]
        client.send(batch)
        client.socket.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ClosedError):
            while True:
                assert client.packet().code == 0
        await_gone(witness, number)


def begun(witness: Raw, least: int = 0) -> int:
    """Requests of the kind that waits so far, 0 for fewer than ``least``."""
    count = int(witness.eval("return began or 0").data[0])
    return count if count >= least else 0


def waiting(witness: Raw) -> int:
    """Requests that wait, told by those that began and those that ended."""
    began, ended = witness.eval("return began or 0, ended or 0").data
    return int(began - ended)


def test_pushes_to_a_client_that_does_not_read(start: Start) -> None:
    """One request pushes without end: past the limit of unread output its session is closed."""
    settings = {"session": {"output_limit": 4 * MEGABYTE}}
    server = start(app=DATA / "whole_app.lua", workers=1, settings=settings)
    pushes = """
    local count, text = 0, ('x'):rep(100000)
    repeat
      local ok, err = box.session.push(text)
      count = count + 1
    until not ok or count == 5000
    pushed = count
    """
    with Raw(server.address) as witness, Raw(server.address, receive=8192) as deaf:
        grown = memory(witness)
        number = deaf.call("box.session.id").data[0]
        deaf.send(request({0: EVAL, 1: 7}, {0x27: pushes}))
        await_gone(witness, number)
        assert 0 < witness.eval("return pushed").data[0] < 500
        witness.eval("collectgarbage() collectgarbage()")
        assert grown() < 24 * MEGABYTE
        witness.ping()


def test_events_for_a_client_that_does_not_read(server: Server, witness: Raw) -> None:
    """What is kept for it is bounded: garbage, which may be as much, is collected each time."""
    grown = memory(witness)
    again = request({0: 74, 1: 1}, {0x57: "hostile"})
    event = "box.broadcast('hostile', ('x'):rep(100000) .. ...) collectgarbage() collectgarbage()"
    with Raw(server.address, receive=8192) as deaf:
        number = deaf.call("box.session.id").data[0]
        for count in range(600):
            witness.eval(event, count)
            with contextlib.suppress(BlockingIOError):
                deaf.socket.setblocking(False)
                deaf.socket.send(again)
        assert grown() < 16 * MEGABYTE
        assert witness.call("box.session.exists", number).data == [1]
    await_gone(witness, number)
    witness.eval("box.broadcast('hostile')")


REQUEST = """
began = (began or 0) + 1
%s
pcall(box.session.receive, ...)
ended = (ended or 0) + 1
return box.session.sync()
"""
WAIT = REQUEST % ""
HELD = REQUEST % "while not flows do require('fiber').sleep(0.002) end"


def test_a_flood_of_requests_that_wait(start: Start) -> None:
    settings = {"iproto": {"net_msg_max": 20}}
    server = start(workers=1, settings=settings)
    with Raw(server.address) as witness, Raw(server.address) as client:
        client.send(
            b"".join(request({0: EVAL, 1: n}, {0x27: HELD, 0x21: [0.002]}) for n in range(500))
        )
        wait_until(lambda: waiting(witness) == 20, 10, "as many requests as may wait")
        most = max(waiting(witness) for _ in range(50))
        witness.eval("flows = true")
        assert max(most, *(waiting(witness) for _ in range(50))) == 20
        assert sorted(answer.sync for answer in client.packets(500)) == list(range(500))
        client.ping()


@pytest.mark.parametrize("way", ["close", "half", "reset"])
def test_clients_that_leave_while_their_requests_wait(
    server: Server, witness: Raw, way: str
) -> None:
    batch = b"".join(request({0: EVAL, 1: n}, {0x27: WAIT, 0x21: [50]}) for n in range(100))
    numbers = []
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            client = stack.enter_context(Raw(server.address))
            numbers.append(client.call("box.session.id").data[0])
            before = begun(witness)
            client.send(batch)
            wait_until(partial(begun, witness, before + 100), 10, "requests that wait")
            if way == "half":
                client.socket.shutdown(socket.SHUT_WR)
                client.wait_closed()
            elif way == "reset":
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
            client.close()
    for number in numbers:
        await_gone(witness, number)
    assert waiting(witness) == 0


def test_values_come_back_after_all_of_this(client: Raw) -> None:
    value = [None, True, -1, 2**63, 1.5, "ü", [], {"k": [1]}, msgpack.ExtType(2, bytes(range(16)))]
    assert client.call("echo", value).data == [value]
