"""Requests as bytes, answers as values, addresses as users write them."""

from __future__ import annotations

import pytest

from bench import packets
from bench.address import Address, AddressError
from bench.packets import AnswerError
from bench.scenarios import SCENARIOS, Facts

FACTS = Facts(session_id=5, peer="127.0.0.1:1", cpu_turns=1000, cpu_result=7)

REQUESTS = {
    "ping": "ce00000009 82004001ce000f4240",
    "id": "ce0000001c 82000a01ce000f4240 8222ae626f782e73657373696f6e2e69642190",
    "exists": "ce00000021 82000a01ce000f4240 8222b2626f782e73657373696f6e2e657869737473219105",
    "peer": "ce0000001e 82000a01ce000f4240 8222b0626f782e73657373696f6e2e706565722190",
    "eval": "ce00000019 82000801ce000f4240 8227aa72657475726e202e2e2e219101",
    "sleep": ("ce00000022 82000a01ce000f4240 8222ab62656e63685f736c6565702191cb3f50624dd2f1a9fc"),
    "call": "ce00000019 82000a01ce000f4240 8222a86d6174682e6d61782193010302",
    "map": (
        "ce0000003a 82000801ce000f4240 8227d92b72657475726e207b6964203d20312c206e616d65203d20276265"
        "65272c207265616479203d20747275657d2190"
    ),
    "mixed": "ce00000019 82000a01ce000f4240 8222ab62656e63685f6d697865642190",
    "cpu": "ce0000001a 82000a01ce000f4240 8222a962656e63685f6370752191cd03e8",
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_requests_are_these_bytes(name: str) -> None:
    scenario = SCENARIOS[name]
    found = packets.request(scenario.kind, 1_000_000, scenario.body(FACTS))
    assert found.hex() == REQUESTS[name].replace(" ", "")


def test_every_scenario_has_its_bytes() -> None:
    assert set(REQUESTS) == set(SCENARIOS)


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("ping", None, [1]),
        ("id", [5], [6]),
        ("exists", [True], [False]),
        ("exists", [1], [0]),
        ("peer", ["127.0.0.1:1"], ["127.0.0.1:2"]),
        ("eval", [1], [2]),
        ("call", [3], [2]),
        ("map", [{"id": 1, "name": "bee", "ready": True}], [{"id": 1}]),
        ("mixed", [True], [False]),
        ("cpu", [7], [8]),
        ("sleep", [0.001], [0.002]),
    ],
)
def test_a_scenario_knows_a_right_result(name: str, right: object, wrong: object) -> None:
    assert SCENARIOS[name].accepts(FACTS, right)
    assert not SCENARIOS[name].accepts(FACTS, wrong)


def test_an_answer_is_decoded() -> None:
    packet = bytes.fromhex("ce0000000d 820000 01ce000f4240 8130 9101".replace(" ", ""))
    answer = packets.decode(packet)
    assert (answer.code, answer.sync, answer.data()) == (0, 1_000_000, [1])


def test_a_refusal_is_an_error_with_the_servers_text() -> None:
    answer = packets.Answer(0x8000 + 42, 1, {packets.KEY_ERROR: "no access"})
    with pytest.raises(AnswerError, match=r"error 42: no access"):
        answer.data()


def test_split_returns_whole_packets_and_refuses_a_rest() -> None:
    one = packets.request(packets.TYPE_PING, 1, {})
    assert list(packets.split(one * 3)) == [one] * 3
    with pytest.raises(AnswerError, match="2 bytes are left"):
        list(packets.split(one + one[:2]))
    with pytest.raises(AnswerError, match="0x00, expected 0xce"):
        list(packets.split(b"\0" * 8))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("3301", Address("127.0.0.1", 3301)),
        ("localhost:3301", Address("localhost", 3301)),
        ("[::1]:3301", Address("::1", 3301)),
        ("unix/:/tmp/a.sock", Address(path="/tmp/a.sock")),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert Address.parse(text) == address
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize("text", ["", "host", "host:0", "host:70000", "unix/:relative", "a@b:1"])
def test_other_texts_are_no_addresses(text: str) -> None:
    with pytest.raises(AddressError, match="expected host:port"):
        Address.parse(text)
