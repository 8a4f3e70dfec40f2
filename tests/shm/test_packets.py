"""What the log says a packet asks for, also when the packet says little."""

from __future__ import annotations

import pytest

from shm.packets import asked, discreet
from tests.helpers.raw import CALL, CALL_16, EVAL, frame, pack, ping, request


def said(data: bytes, end: int | None = None) -> str:
    padded = data + bytes(16)
    return asked(lambda at, size: padded[at : at + size], len(data) if end is None else end)


@pytest.mark.parametrize(
    ("packet", "text"),
    [
        (request({0: CALL, 1: 1}, {0x22: "box.session.id", 0x21: []}), "call box.session.id"),
        (request({0: CALL_16, 1: 1}, {0x21: [1], 0x22: "f"}), "call f"),
        (request({1: 1, 0: EVAL}, {0x27: "return 1", 0x21: []}), "eval return 1"),
        (request({0: EVAL}, {0x27: "x" * 81}), f"eval {'x' * 80}..."),
        (request({0: EVAL}, {0x27: b"\xff"}), "eval \ufffd"),
        (request({0: CALL}, {0x21: ["y" * 100_000], 0x22: "late"}), "type 10"),
        (request({0: CALL}, {0x27: 5}), "eval 5"),
        (ping(7), "type 64"),
        (frame(pack({0: 1})), "type 1"),
        (frame(pack([1])), "a packet"),
        (frame(b"\xc1"), "a packet"),
        (frame(pack({0: 10}) + b"\x93"), "type 10"),
        (b"\x02\x80\x80", "type 0"),
        (b"\xcd\x00\x02\x80\x80", "type 0"),
    ],
)
def test_words(packet: bytes, text: str) -> None:
    assert said(packet) == text


def test_the_packet_at_the_end_is_meant() -> None:
    before = ping(1) + request({0: EVAL, 1: 2}, {0x27: "return 2"})
    data = before + request({0: CALL, 1: 3}, {0x22: "third"}) + ping(4)
    assert said(data, len(data) - len(ping(4))) == "call third"
    assert said(data, len(before)) == "eval return 2"


@pytest.mark.parametrize("data", [b"\x00\x01", b"\x05\x80"])
def test_what_is_no_packet(data: bytes) -> None:
    assert said(data) == "unknown"


HIDDEN = "(not shown: it may have a password in it)"


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("eval box.schema.user.passwd('bob', 'x')", f"eval {HIDDEN}"),
        ("console: box.schema.user.create('bob', {Password = 'x'})", f"console: {HIDDEN}"),
        ("eval local secret = 5", f"eval {HIDDEN}"),
        ("eval return 1", "eval return 1"),
        ("call box.schema.user.passwd", "call box.schema.user.passwd"),
        ("ping", "ping"),
    ],
)
def test_what_may_have_a_password_in_it_is_not_shown(words: str, shown: str) -> None:
    assert discreet(words) == shown


def test_a_source_with_a_password_is_not_said() -> None:
    packet = request({0: EVAL}, {0x27: "box.schema.user.passwd('hunter2')"})
    assert said(packet) == f"eval {HIDDEN}"


def test_a_source_with_a_password_behind_what_is_shown_is_not_said() -> None:
    packet = request({0: EVAL}, {0x27: "local x = 'hunter2' " + " " * 80 + "set_password(x)"})
    assert said(packet) == f"eval {HIDDEN}"
