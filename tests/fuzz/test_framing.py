"""Any bytes in any pieces: the loop takes exactly the packets that the model sees."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import model
from tests.fuzz.mutate import VALUES
from tests.helpers.engine import Client, Engine
from tests.helpers.raw import pack, ping

MAX_PACKET = 1 << 16


@pytest.fixture(scope="module")
def framed() -> Iterator[Engine]:
    with Engine(max_packet=MAX_PACKET) as made:
        yield made


def prefixed(size: int, width: int) -> bytes:
    """A length in the form of that many bytes."""
    heads = {1: b"", 2: b"\xcc", 3: b"\xcd", 5: b"\xce", 9: b"\xcf"}
    return heads[width] + size.to_bytes(max(width - 1, 1), "big")


@st.composite
def packets(draw: st.DrawFn) -> bytes:
    """A PING with a length of any form, its sync of any size, sometimes with a long body."""
    payload = pack({0: 64, 1: draw(st.integers(0, 2**64 - 1))})
    if draw(st.booleans()):
        payload += pack({1: "x" * draw(st.sampled_from([0, 1, 100, 4000, 5000, 60_000]))})
    widths = [
        w
        for w, most in ((1, 127), (2, 255), (3, 65535), (5, 1 << 32), (9, 1 << 64))
        if len(payload) <= most
    ]
    return prefixed(len(payload), draw(st.sampled_from(widths))) + payload


lies = st.one_of(
    st.builds(
        prefixed,
        st.sampled_from([0, 1, 127, MAX_PACKET - 1, MAX_PACKET, MAX_PACKET + 1, 2**31, 2**32 - 1]),
        st.sampled_from([5, 9]),
    ),
    st.sampled_from([prefixed(2**64 - 1, 9), prefixed(2**53 + 1, 9), b"\x00", b"\xcc\x00"]),
    st.sampled_from(VALUES),
    st.binary(max_size=12),
)


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    data = b"".join(draw(st.lists(st.one_of(packets(), packets(), packets(), lies), max_size=6)))
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=6)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def kept(client: Client) -> tuple[int, int]:
    """Bytes of a packet that the engine keeps, and the length it knows that packet to have."""
    source = """
    local b = require('beespace.engine.sessions').all[...].buffers
    if b == nil or b.input == nil then return 0, 0 end
    return b.input_len, b.need
    """
    length, need = client.engine.execute(source, client.fd)
    return int(length), int(need)


@settings(max_examples=800)
@given(parts=streams())
def test_packets_and_rests(framed: Engine, parts: list[bytes]) -> None:
    expected = model.read(b"".join(parts), MAX_PACKET)
    with framed.connect() as client:
        for part in parts:
            if not client.ended:
                client.send(part)
        model.judge(expected, client.packets())
        assert client.buffer == b""
        assert client.ended == expected.broken
        if not expected.broken:
            length, need = kept(client)
            assert length == expected.rest
            # An empty packet is looked at when the byte behind it has come.
            empty = need == length <= 9
            assert need == 0 or empty or length < need <= MAX_PACKET + 9
    with framed.connect() as fresh:
        assert fresh.in_step()


@settings(max_examples=200)
@given(
    cuts=st.lists(st.integers(0, 20_000), max_size=12),
    sizes=st.lists(st.integers(0, 6000), min_size=1, max_size=4),
)
def test_no_byte_is_lost_between_pieces(framed: Engine, cuts: list[int], sizes: list[int]) -> None:
    """What arrives is what was sent, wherever it was cut: the argument comes back as it went."""
    values = [bytes(range(256)) * (size // 256) + bytes(size % 256) for size in sizes]
    data = b"".join(
        prefixed(len(payload), 5) + payload
        for payload in (
            pack({0: 8, 1: n}) + pack({0x27: "return ...", 0x21: [value]})
            for n, value in enumerate(values)
        )
    )
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    with framed.connect() as client:
        for a, b in itertools.pairwise(places):
            client.send(data[a:b])
        assert [(each.sync, each.data) for each in client.packets()] == [
            (n, [value]) for n, value in enumerate(values)
        ]
        client.send(ping(1))
        assert [each.sync for each in client.packets()] == [1]
