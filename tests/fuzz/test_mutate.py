"""The fuzzer's own parts: it breaks what it should, and notices what it should."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from random import Random

import msgpack
import pytest

from tests.fuzz import model, mutate, seeds, walk
from tests.fuzz.__main__ import Diary, attack, inputs, replay
from tests.fuzz.targets import LONGEST, Target
from tests.helpers.raw import Packet, ping, request
from tests.wire import cases

PAYLOADS = seeds.payloads()


def answer(sync: int, kind: int = 0) -> Packet:
    return Packet({0: kind, 1: sync, 5: 1}, {}, b"", b"")


@pytest.mark.parametrize("case", cases.load()[::7], ids=lambda case: case.name)
def test_the_model_knows_what_the_corpus_expects(case: cases.Case) -> None:
    data = b"".join(case.send) + (b"" if case.closes else ping(7))
    stream = model.read(data, 64 << 20)

    assert stream.broken == case.closes
    assert len(stream.packets) + stream.broken == len(case.answers) + (not case.closes)
    for payload, expected in zip(stream.packets, case.answers, strict=False):
        assert expected["sync"] == "any" or expected["sync"] in model.syncs(payload)[0]


@pytest.mark.parametrize(
    ("data", "packets", "rest", "broken"),
    [
        ("", 0, 0, False),
        ("05", 0, 1, False),
        ("00", 0, 1, False),
        ("00 ce", 1, 1, False),
        ("02 01 01 c0", 1, 0, True),
        ("ce 00 10 00 01", 0, 5, False),
        ("ce 00 10 00 01 00", 0, 0, True),
        ("cf 00 00 00 00 00 00 00", 0, 8, False),
        ("cd 00 02 01 01 cc 03 01", 1, 3, False),
    ],
)
def test_streams(data: str, packets: int, rest: int, broken: bool) -> None:
    found = model.read(bytes.fromhex(data), LONGEST)
    assert (len(found.packets), found.rest, found.broken) == (packets, rest, broken)


def test_the_model_finds_wrong_answers() -> None:
    stream = model.read(request({0: 64, 1: 1}) + request({0: 64, 1: 2}), LONGEST)
    model.judge(stream, [answer(1), answer(2)])
    model.judge(stream, [answer(2), answer(9, model.EVENT), answer(1)])
    model.judge(stream, [answer(0, 0x8000 + 20), answer(1)])
    for wrong in (
        [answer(1)],
        [answer(1), answer(1)],
        [answer(1), answer(3)],
        [answer(1), answer(2), answer(2)],
        [answer(1), answer(2, 64)],
    ):
        with pytest.raises(AssertionError):
            model.judge(stream, wrong)


def test_requests_to_watch_may_be_silent() -> None:
    stream = model.read(request({0: seeds.WATCH, 1: 1}, {0x57: "k"}) + ping(2), LONGEST)
    model.judge(stream, [answer(2)])
    model.judge(stream, [answer(1, 0x8000 + 48), answer(2)])


def test_tokens_of_valid_packets() -> None:
    for payload in (
        {0: 8, 1: 2**40},
        ["x" * 40, b"y" * 300, None, 1.5, {"k": [-1, msgpack.ExtType(1, b"\0")]}],
    ):
        packed = msgpack.packb(payload)
        found = walk.tokens(packed)
        assert found[-1][1] == len(packed)
        assert all(a[1] == b[0] for a, b in itertools.pairwise(found))


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("82 00 40 01 07", {0, 7}),
        ("82 01 cd 01 00 00 40", {0, 256}),
        ("83 58 d4 80 00 01 05 00 40", {0, 5}),
        ("83 58" + "91" * 3000 + "c0 01 05 00 40", {0, 5}),
        ("83 58 c1 01 05 00 40", {0}),
        ("82 01 05 01 c0", {0, 5}),
        ("df 00 00 00 02 01 05 01 06", {0, 5, 6}),
        ("92 01 05", {0}),
        ("", {0}),
    ],
)
def test_syncs_of_a_header(header: str, found: set[int]) -> None:
    assert model.syncs(bytes.fromhex(header))[0] == found


@pytest.mark.parametrize("way", mutate.WAYS, ids=lambda way: way.__name__)
def test_every_way_changes_packets_and_takes_any(way: mutate.Way) -> None:
    random = Random(1)
    changed = sum(way(random, each, PAYLOADS) != each for each in PAYLOADS)
    assert changed > len(PAYLOADS) / 2
    for payload in (b"", b"\x00", b"\xff", b"\xdf", b"\xc7\x00", b"\x91" * 9):
        way(random, payload, PAYLOADS)


def test_a_seed_tells_the_run() -> None:
    one, two = inputs(5), inputs(5)
    assert [next(one) for _ in range(200)] == [next(two) for _ in range(200)]
    assert next(inputs(6)) != next(inputs(5))


def test_mutants_are_mostly_framed_and_never_dangerous() -> None:
    random = Random(2)
    made = [mutate.mutant(random, PAYLOADS) for _ in range(500)]
    whole = [model.read(each, LONGEST) for each in made]
    assert 300 < sum(len(s.packets) == 1 and not s.rest and not s.broken for s in whole) < 480
    assert not any(mutate.DANGEROUS.search(each) for each in made)


class Fragile(Target):
    """Takes anything until ``breaks`` says that this is too much."""

    def __init__(self, breaks: bytes) -> None:
        super().__init__()
        self.breaks = breaks
        self.seen: list[bytes] = []

    def trial(self, parts: Sequence[bytes]) -> None:
        self.seen.append(b"".join(parts))
        assert self.breaks not in self.seen[-1]

    def connect(self) -> None: ...

    def answers(self, _parts: Sequence[bytes], _stream: model.Stream, /) -> list[Packet]:
        return []

    def last_words(self, _parts: Sequence[bytes], /) -> list[Packet]:
        return []

    def finish(self) -> None: ...


def test_a_failing_input_is_kept_and_fails_again(tmp_path: Path) -> None:
    first = Fragile(b"\xc1")
    kept = tmp_path / "kept.txt"
    with pytest.raises(AssertionError):
        attack(first, 3, kept, lambda _: True)
    again = Fragile(b"\xc1")
    with pytest.raises(AssertionError):
        replay(again, kept)
    assert again.seen == first.seen


def test_nothing_is_kept_of_a_good_run(tmp_path: Path) -> None:
    target = Fragile(b"this is never sent")
    attack(target, 3, tmp_path / "kept.txt", lambda number: number < 50)
    assert list(tmp_path.iterdir()) == []


def test_a_new_connection_starts_the_file_anew(tmp_path: Path) -> None:
    diary = Diary(tmp_path / "kept.txt")
    diary.note([b"\x01", b"\x02\x03"])
    diary.start()
    diary.note([b"\x04"])
    assert diary.path.read_text() == "04\n"
    diary.remove()
