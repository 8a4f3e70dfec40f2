"""Filters of sessions: what they may say, and what is said about those that are none."""

from __future__ import annotations

from typing import Any

import pytest

from shm import filters
from shm.filters import Condition, Filter, FilterError, Network, parse

ORDERS = "one of " + ", ".join(field for field in filters.FIELDS if field != "attrs")
PEER = "address:port, an address, a network such as 10.0.0.0/8, or unix/:path"
KEYS = (
    "one of id, user, uid, peer, type, worker, listener, name, state, idle_gt, age_gt, "
    "in_flight_gt, not_..., order, limit, after"
)


def test_nothing_given_means_all() -> None:
    assert parse({}) == Filter() == filters.ALL


def test_everything_at_once() -> None:
    given = {
        "id": [1, "2"],
        "not_user": "ada",
        "idle_gt": "1.5",
        "order": "-age",
        "limit": "20",
    }
    assert parse(given) == Filter(
        (
            Condition("id", (1, 2)),
            Condition("user", ("ada",), negated=True),
            Condition("idle_gt", (1.5,)),
        ),
        order="age",
        descending=True,
        limit=20,
    )


def test_pages_are_in_the_order_of_ids() -> None:
    assert parse({"after": 7}).after == 7
    assert parse({"after": "7", "order": "-id"}).descending


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("127.0.0.1:55457", "127.0.0.1:55457"),
        ("[::1]:55457", "[::1]:55457"),
        ("unix/:(socket)", "unix/:(socket)"),
        ("127.0.0.1", Network(4, 0x7F000001, 0xFFFFFFFF)),
        ("10.1.2.3/8", Network(4, 0x0A000000, 0xFF000000)),
        ("::1", Network(6, 1, (1 << 128) - 1)),
        ("[::1]", Network(6, 1, (1 << 128) - 1)),
        ("fe80::/10", Network(6, 0xFE80 << 112, 0xFFC0 << 112)),
    ],
)
def test_peers(given: str, read: Any) -> None:
    assert parse({"peer": given}).conditions == (Condition("peer", (read,)),)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"usr": "ada"}, f"filter: got 'usr', expected {KEYS}"),
        ({"not_limit": 1}, f"filter: got 'not_limit', expected {KEYS}"),
        ({"id": "x"}, "id: got 'x', expected a whole number from 0"),
        ({"not_id": [1, -1]}, "not_id: got -1, expected a whole number from 0"),
        ({"uid": True}, "uid: got True, expected a whole number from 0"),
        ({"worker": 1.5}, "worker: got 1.5, expected a whole number from 0"),
        ({"user": 1}, "user: got 1, expected text"),
        ({"type": "binar"}, "type: got 'binar', expected one of binary, console"),
        ({"state": 2}, "state: got 2, expected one of claimed, live, closing"),
        ({"idle_gt": "soon"}, "idle_gt: got 'soon', expected a number from 0"),
        ({"age_gt": -1}, "age_gt: got -1, expected a number from 0"),
        ({"in_flight_gt": "nan"}, "in_flight_gt: got 'nan', expected a number from 0"),
        ({"idle_gt": True}, "idle_gt: got True, expected a number from 0"),
        ({"peer": "10.0.0.0/33"}, f"peer: got '10.0.0.0/33', expected {PEER}"),
        ({"peer": "localhost"}, f"peer: got 'localhost', expected {PEER}"),
        ({"peer": 1}, f"peer: got 1, expected {PEER}"),
        ({"limit": 0}, "limit: got 0, expected a whole number from 1"),
        ({"limit": "-1"}, "limit: got '-1', expected a whole number from 1"),
        ({"after": "x"}, "after: got 'x', expected a whole number from 0"),
        (
            {"order": "attrs"},
            f"order: got 'attrs', expected {ORDERS}, or '-' before one to turn it round",
        ),
        (
            {"order": 1},
            f"order: got 1, expected {ORDERS}, or '-' before one to turn it round",
        ),
        (
            {"after": 1, "order": "age"},
            "after: got 1, expected the order to be that of id, not of age",
        ),
    ],
)
def test_what_is_no_filter(given: dict[str, Any], told: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse(given)
    assert str(caught.value) == told
