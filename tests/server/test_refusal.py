"""What a client hears when the table is full, byte for byte."""

from __future__ import annotations

from uuid import UUID

import msgpack

from server import refusal

INSTANCE = UUID("6213b5ba-ea92-43eb-9c19-7933ca2fe1e7")
GREETING = (
    b"Tarantool 2.11.0 (Binary) 6213b5ba-ea92-43eb-9c19-7933ca2fe1e7 \n"
    b"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=                   \n"
)
PACKET = bytes.fromhex(
    # length, header {0: 0x8068, 1: 0, 5: 1}, body {0x31: "full", 0x52: {0: [error]}}
    "ce 0000003c"
    "83 00 cd 80 68 01 00 05 01"
    "82 31 a4 66756c6c 52 81 00 91"
    "86 00 ab 436c69656e744572726f72 01 a8 6163636570746f72 02 ce ffffffff"
    "03 a4 66756c6c 04 00 05 68"
)


def test_greeting() -> None:
    assert refusal.greeting(INSTANCE, bytes(range(32))) == GREETING
    assert len(GREETING) == refusal.GREETING_BYTES


def test_error_packet() -> None:
    assert refusal.error_packet("full") == PACKET
    assert int.from_bytes(PACKET[1:5], "big") == len(PACKET) - 5


def test_everything_a_refused_console_gets() -> None:
    answer = refusal.to_console(refusal.full_table(65536))
    assert answer[:128] == (
        b"Tarantool 2.11.0 (Lua console)                                 \n"
        b"type 'help' for interactive help                               \n"
    )
    assert answer[128:] == (
        b"---\n- error: 'session limit reached: 65536 of 65536 sessions are in use'\n...\n"
    )


def test_everything_a_refused_client_gets() -> None:
    answer = refusal.to_client(INSTANCE, bytes(32), refusal.full_table(65536))
    unpacker = msgpack.Unpacker(strict_map_key=False)
    unpacker.feed(answer[refusal.GREETING_BYTES :])
    length, header, body = unpacker
    assert header[0] == 0x8000 | 104
    assert body[0x31] == "session limit reached: 65536 of 65536 sessions are in use"
    assert length == len(answer) - refusal.GREETING_BYTES - 5
