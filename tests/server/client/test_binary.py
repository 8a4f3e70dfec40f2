"""The binary dialect: requests, answers, pushes, errors, and what is no packet."""

from __future__ import annotations

import msgpack
import pytest

from server.client.binary import BinaryDialect, scramble
from server.client.failures import Refused
from server.client.message import Message
from tests.helpers import raw
from tests.server.client.standin import SALT, answer, evaluation, refusal, request, response

PUSH = b"%TAG !push! tag:tarantool.io/push,2018\n"


def test_statements_are_evaluations_with_growing_syncs() -> None:
    dialect = BinaryDialect(SALT)
    assert dialect.statement("1") == (1, evaluation(1, "1"))
    assert dialect.statement("a\nb") == (2, evaluation(2, "a\nb"))


def test_a_statement_may_be_any_bytes() -> None:
    _, data = BinaryDialect(SALT).statement("'\udcff'")
    assert b"'\xff'" in data


def test_a_login_proves_the_password() -> None:
    dialect = BinaryDialect(SALT[:20])
    proof = scramble(SALT[:20], "secret")
    assert proof == raw.scramble(SALT[:20], "secret")
    assert dialect.login("bob", "secret") == (
        1,
        request(1, 7, {0x23: "bob", 0x21: ["chap-sha1", proof]}),
    )


STREAM = [
    (response(1, {0x30: [7]}, 0x80), Message(1, PUSH + b"--- 7\n...\n", True)),
    (answer(2, b"---\n- 2\n...\n"), Message(2, b"---\n- 2\n...\n")),
    (refusal(1, "Access denied"), Message(1, b"---\n- error: Access denied\n...\n")),
    (response(3, {0x30: []}), Message(3, b"")),
    (response(4, {}), Message(4, b"")),
]


def test_messages_are_read_whole_and_byte_by_byte() -> None:
    stream = b"".join(packet for packet, _ in STREAM)
    for feed in ([stream], [stream[i : i + 1] for i in range(len(stream))]):
        dialect = BinaryDialect(SALT)
        for _ in range(4):
            dialect.statement("x")
        found = []
        for piece in feed:
            dialect.feed(piece)
            while (message := dialect.next()) is not None:
                found.append(message)
        assert found == [message for _, message in STREAM]


def test_events_are_passed_over() -> None:
    dialect = BinaryDialect(SALT)
    dialect.statement("x")
    dialect.feed(response(0, {}, 76) + answer(1, b"---\n...\n"))
    assert dialect.next() == Message(1, b"---\n...\n")


def test_an_error_to_nothing_that_was_asked_is_a_refusal() -> None:
    dialect = BinaryDialect(SALT)
    dialect.statement("x")
    dialect.feed(refusal(0, "session limit reached"))
    with pytest.raises(Refused, match="session limit reached"):
        dialect.next()


def test_an_error_to_a_login_is_a_refusal() -> None:
    dialect = BinaryDialect(SALT)
    dialect.login("bob", "secret")
    dialect.feed(refusal(1, "User not found or supplied credentials are invalid"))
    with pytest.raises(Refused, match="credentials are invalid"):
        dialect.next()


@pytest.mark.parametrize(
    "data",
    [
        b"\xe0",
        b"\xcf" + b"\xff" * 8,
        b"\x01\xc1",
        b"\x01\x01",
        b"\x00",
        b"\x04\x80\x81\x00\x81",
        b"\x05\x81\x00\xa1x\x80",
    ],
)
def test_what_is_no_packet_is_a_refusal(data: bytes) -> None:
    dialect = BinaryDialect(SALT)
    dialect.feed(data)
    with pytest.raises(Refused):
        dialect.next()


def test_every_form_of_a_length_is_read() -> None:
    packet = msgpack.packb({0: 0, 1: 1}) + msgpack.packb({0x30: ["x"]})
    for prefix in (
        bytes([len(packet)]),
        b"\xcc" + len(packet).to_bytes(1, "big"),
        b"\xcd" + len(packet).to_bytes(2, "big"),
        b"\xcf" + len(packet).to_bytes(8, "big"),
    ):
        dialect = BinaryDialect(SALT)
        dialect.statement("x")
        dialect.feed(prefix + packet)
        assert dialect.next() == Message(1, b"x")
