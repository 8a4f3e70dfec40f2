"""Sessions by address: what counts as one, and that the count is exact whatever happens."""

from __future__ import annotations

import random

import pytest

from server.quota import Quota, address_of
from shm import layout
from shm.segment import Segment
from shm.sessions import SessionTable

EXEMPT = frozenset({7, layout.ADOPTED})


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        (b"127.0.0.1:55457", b"127.0.0.1"),
        (b"[::1]:1", bytes(8)),
        (b"[2001:db8:1:2:3:4:5:6]:1", bytes.fromhex("20010db800010002")),
        (b"[2001:db8:1:2::]:65535", bytes.fromhex("20010db800010002")),
        (b"[fe80::1%eth0]:1", bytes.fromhex("fe80000000000000")),
        (b"[::ffff:10.1.2.3]:1", b"10.1.2.3"),
        (b"[no address]:1", b"[no address]"),
        (b"unix/:(socket)", None),
        (b"unix/:/run/a:1", None),
        (b"", None),
    ],
)
def test_what_an_address_is(peer: bytes, address: bytes | None) -> None:
    assert address_of(peer) == address


class Counted:
    """A quota over a table, beside a model that only knows what is in the table."""

    def __init__(self, table: SessionTable, most: int) -> None:
        self.table = table
        self.quota = Quota(table, EXEMPT)
        self.quota.limit(most)

    def admit(self, *peers: bytes, listener: int = 0) -> list[bool]:
        """What becomes of connections that come together."""
        self.quota.begin()
        found = [not self.quota.over(listener, peer) for peer in peers]
        for peer, good in zip(peers, found, strict=True):
            if good:
                self.claim(peer, listener)
        return found

    def claim(self, peer: bytes, listener: int = 0) -> int:
        session = self.table.claim(peer, 0, bytes(layout.SALT_BYTES), listener)
        assert session is not None
        self.quota.note(session, listener, peer)
        return session


def test_the_limit_within_one_batch_and_over_several(table: SessionTable) -> None:
    counted = Counted(table, 2)
    assert counted.admit(b"a:1", b"b:1", b"a:2", b"a:3") == [True, True, True, False]
    assert counted.admit(b"a:4", b"b:2", b"b:3") == [False, True, False]
    table.release(1)
    assert counted.admit(b"a:5", b"a:6") == [True, False]


def test_who_is_not_counted(table: SessionTable) -> None:
    counted = Counted(table, 1)
    assert counted.admit(b"a:1", b"a:2", listener=7) == [True, True]
    assert counted.admit(b"unix/:(socket)", b"unix/:(socket)") == [True, True]
    assert counted.admit(b"a:3", b"a:4", listener=layout.ADOPTED) == [True, True]
    assert counted.admit(b"a:5", b"a:6") == [True, False]


def test_it_begins_with_what_is_in_the_table(segment: Segment, table: SessionTable) -> None:
    counted = Counted(table, 0)
    for peer in (b"a:1", b"a:2", b"b:1"):
        counted.claim(peer)
    counted.claim(b"a:9", listener=7)
    table.release(1)
    # A worker ends one in its own way: the id goes first.
    counted.quota.limit(2)
    assert counted.admit(b"a:3", b"a:4", b"b:2") == [True, False, True]
    counted.quota.limit(3)
    assert counted.admit(b"a:5", b"a:6") == [True, False]
    counted.quota.limit(0)
    assert segment.header.claimed == 7


@pytest.mark.parametrize("seed", range(20))
def test_it_is_exact_whatever_comes_and_goes(table: SessionTable, seed: int) -> None:
    chance = random.Random(seed)
    most = chance.randint(1, 4)
    counted = Counted(table, most)
    for _ in range(200):
        live = [(one.id, one.peer) for one in table.sessions()]
        if len(live) == table.capacity or (live and chance.random() < 0.5):
            table.release(chance.choice(live)[0])
            continue
        peer = f"{chance.choice('abc')}:{chance.randint(1, 9)}".encode()
        count = sum(1 for _, text in live if text[0] == chr(peer[0]))
        assert counted.admit(peer) == [count < most]
        if chance.random() < 0.05:
            counted.quota.limit(0)
            counted.quota.limit(most)
    # No more is kept than the table has slots.
    kept = [len(address.ids) for address in counted.quota._addresses.values()]
    assert sum(kept) <= table.capacity
    assert len(counted.quota._slots) == sum(kept)
