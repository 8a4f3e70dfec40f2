"""What has to come of bytes, told without the server: packets, a rest, or the end.

Used by the fuzzer and its tests. :func:`read` walks over a stream by the rules of packet lengths;
:func:`judge` compares the answers to it. A packet whose length is right gets one answer whatever it
holds, with a sync that its header names up to the first mistake, or with 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tests.fuzz import walk
from tests.helpers.raw import Packet

CHUNK: Final = 128
EVENT: Final = 76
WATCHING: Final = (74, 75)
"""Request types that are answered by events, or not at all."""

WAITS: Final = (b"nap", b"pass")
"""Requests with one of these words may wait when the connection ends: they are not answered."""

_WIDTHS: Final = {0xCC: 2, 0xCD: 3, 0xCE: 5, 0xCF: 9}


@dataclass(frozen=True)
class Stream:
    """What a stream of bytes holds."""

    packets: tuple[bytes, ...]
    """Payloads of the packets that are whole, up to a broken length."""
    rest: int
    """Bytes of a packet that is not whole, 0 when the length of the next one is broken."""
    broken: bool
    """Whether a length cannot be read, or is longer than allowed."""


def read(data: bytes, longest: int) -> Stream:
    """Take a stream apart; ``longest`` is the longest packet allowed."""
    packets: list[bytes] = []
    at = 0
    while at < len(data):
        left = len(data) - at
        width = 1 if data[at] < 0x80 else _WIDTHS.get(data[at])
        if width is None:
            return Stream(tuple(packets), 0, broken=True)
        if left <= width:
            break
        size = data[at] if width == 1 else int.from_bytes(data[at + 1 : at + width], "big")
        if size > longest:
            return Stream(tuple(packets), 0, broken=True)
        if left - width < size:
            break
        packets.append(data[at + width : at + width + size])
        at += width + size
    return Stream(tuple(packets), len(data) - at, broken=False)


def syncs(payload: bytes) -> tuple[set[int], set[int]]:
    """The syncs an answer to this packet may have, and the request types it may be of."""
    found, types = {0}, {0}
    for key, value in _header(payload):
        if value is not None and key in (0, 1):
            (found if key else types).add(value)
    return found, types


def _header(payload: bytes) -> Iterator[tuple[int | None, int | None]]:
    """Keys and values of a header up to the first mistake; None: no unsigned integer."""
    if not payload or payload[0] not in (*range(0x80, 0x90), 0xDE, 0xDF):
        return
    try:
        at = walk.size(payload, 0)
        for _ in range(walk.children(payload, 0) // 2):
            middle = walk.skip(payload, at)
            end = walk.skip(payload, middle)
            yield walk.unsigned(payload[at:middle]), walk.unsigned(payload[middle:end])
            at = end
    except ValueError:
        return


def judge(stream: Stream, answers: Sequence[Packet]) -> None:
    """Compare the answers, packets pushed in between left out; raises AssertionError."""
    told = [answer for answer in answers if answer.type not in (CHUNK, EVENT)]
    if stream.broken:
        assert told, "a broken length was not answered"
        last = told.pop()
        assert (last.code, last.sync) == (20, 0), f"a broken length was answered with {last}"
    expected = [syncs(payload) for payload in stream.packets]
    silent = sum(1 for _, types in expected if types & set(WATCHING))
    missing = len(expected) - len(told)
    if stream.broken:
        silent += sum(1 for payload in stream.packets if any(word in payload for word in WAITS))
    assert 0 <= missing <= silent, f"{len(told)} answers to {len(expected)} packets"
    for answer in told:
        assert answer.type == 0 or answer.is_error, f"not an answer: {answer}"
    for answer, (allowed, _) in zip(told, expected, strict=False):
        if answer.sync not in allowed:
            _judge_any_order([each.sync for each in told], [each for each, _ in expected])
            break


def _judge_any_order(told: Sequence[int], expected: Sequence[set[int]]) -> None:
    """Answers of requests that wait come later, but no sync more often than it was asked for."""
    left = Counter(sync for allowed in expected for sync in allowed)
    left.subtract(told)
    wrong = {sync for sync in told if left[sync] < 0}
    assert not wrong, f"nobody asked so often with {wrong}: {told[:50]} for {expected[:50]}"
