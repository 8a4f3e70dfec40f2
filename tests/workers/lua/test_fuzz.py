"""Mutated packets in random pieces through a real session: the loop lives, answers stay right."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.helpers.engine import Engine
from tests.helpers.raw import frame, pack, ping

MAX_PACKET = 1 << 20

VALID = [
    frame(pack({0: kind, 1: sync}) + pack(body))
    for sync, (kind, body) in enumerate(
        [
            (64, {}),
            (10, {0x22: "box.session.id", 0x21: []}),
            (10, {0x22: "box.session.exists", 0x21: [1]}),
            (10, {0x22: "box.session:peer", 0x21: [1, "2", None]}),
            (8, {0x27: "return ...", 0x21: [1, {"a": [1, 2]}, "text", 2**63, 1.5]}),
            (6, {0x22: "math.max", 0x21: [1, 2, 3, 4]}),
            (1, {0x10: 281, 0x11: 2, 0x12: 10, 0x14: 0, 0x20: ["x"]}),
            (7, {0x23: "guest", 0x21: ["chap-sha1", "x" * 20]}),
            (73, {0x54: 6, 0x55: [0, 2]}),
            (2, {0x10: 281, 0x21: [1]}),
            (14, {}),
        ]
    )
]


@pytest.fixture(scope="module")
def fuzzed() -> Iterator[Engine]:
    with Engine(max_packet=MAX_PACKET) as made:
        yield made


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Some packets, of which some bytes were changed, cut out or put in."""
    data = bytearray(b"".join(draw(st.lists(st.sampled_from(VALID), min_size=1, max_size=4))))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        how = draw(st.sampled_from(["set", "cut", "put"]))
        if how == "set" and data:
            data[at] = draw(st.integers(0, 255))
        elif how == "cut":
            del data[at : at + draw(st.integers(1, 8))]
        else:
            data[at:at] = draw(st.binary(min_size=1, max_size=8))
    return bytes(data)


@st.composite
def pieces(draw: st.DrawFn) -> list[bytes]:
    data = draw(st.one_of(mutated(), st.binary(max_size=60)))
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=5)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@settings(max_examples=1500, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=pieces())
def test_whatever_comes_the_loop_lives_on(fuzzed: Engine, parts: list[bytes]) -> None:
    with fuzzed.connect() as client:
        for part in parts:
            client.offer(part)
            client.read()
        client.packets()
        if not client.ended:
            # A packet whose end is missing takes what follows: zeros end it, whatever its length.
            client.offer(ping(0xBEE))
            client.read()
            assert all(answer.type == 0 or answer.code > 0 for answer in client.packets())
    with fuzzed.connect() as fresh:
        assert fresh.in_step()
    assert fuzzed.row.sessions == 0


@settings(max_examples=500)
@given(packets=st.lists(mutated().map(lambda data: data[5:]), max_size=5))
def test_well_framed_nonsense_keeps_the_session_in_step(
    fuzzed: Engine, packets: list[bytes]
) -> None:
    """Every packet whose length is right gets exactly one answer, whatever it holds."""
    whole = [packet for packet in packets if packet]
    with fuzzed.connect() as client:
        answers = client.exchange(b"".join(frame(packet) for packet in whole))

        assert len(answers) == len(whole)
        assert client.in_step()
