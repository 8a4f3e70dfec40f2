"""Filters of sessions: what they may say, and what is said about those that are none."""

from __future__ import annotations

from typing import Any

import pytest

from shm import filters
from shm.filters import ENDED, Condition, Filter, FilterError, Network, parse

ORDERS = (
    "one of id, type, user, uid, peer, listener, worker, state, connected, age, idle, requests, "
    "in_flight, bytes_in, bytes_out, pending_out, inbox_bytes, name, reason, "
    "or one with '-' in front"
)
PEER = (
    "an address like 10.0.0.1, 10.0.0.1:4000 or [::1]:4000, a network like 10.0.0.0/8 or "
    "2001:db8::/32, or a text that begins with unix/:"
)
KEYS = (
    "one of id, user, uid, peer, type, worker, listener, name, state, age_gt, idle_gt, "
    "in_flight_gt, order, limit, after; conditions also with not_ in front"
)

ENDED_ORDERS = (
    "one of id, type, user, uid, peer, listener, worker, connected, age, requests, bytes_in, "
    "bytes_out, name, reason, ended, or one with '-' in front"
)
ENDED_KEYS = (
    "one of id, user, uid, peer, type, worker, listener, name, reason, age_gt, order, limit; "
    "conditions also with not_ in front"
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
        ("10.0.0.0/8", Network(4, 0x0A000000, 0xFF000000)),
        ("::1", Network(6, 1, (1 << 128) - 1)),
        ("[::1]", Network(6, 1, (1 << 128) - 1)),
        ("fe80::/10", Network(6, 0xFE80 << 112, 0xFFC0 << 112)),
        ("[fe80::]/10", Network(6, 0xFE80 << 112, 0xFFC0 << 112)),
        ("::ffff:10.0.0.1", Network(4, 0x0A000001, 0xFFFFFFFF)),
        ("::ffff:10.0.0.0/104", Network(4, 0x0A000000, 0xFF000000)),
    ],
)
def test_peers(given: str, read: Any) -> None:
    assert parse({"peer": given}).conditions == (Condition("peer", (read,)),)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"usr": "ada"}, f"filter: got 'usr', expected {KEYS}"),
        ({"not_limit": 1}, f"filter: got 'not_limit', expected {KEYS}"),
        ({"id": "x"}, "id: got 'x', expected the id of a session"),
        ({"id": 0}, "id: got 0, expected the id of a session"),
        ({"not_id": [1, -1]}, "not_id: got -1, expected the id of a session"),
        ({"id": str(1 << 53)}, f"id: got '{1 << 53}', expected the id of a session"),
        ({"uid": True}, "uid: got True, expected the number of a user"),
        ({"uid": 1 << 32}, f"uid: got {1 << 32}, expected the number of a user"),
        ({"worker": 1.5}, "worker: got 1.5, expected the number of a worker"),
        ({"user": 1}, "user: got 1, expected the name of a user"),
        ({"name": None}, "name: got None, expected the name of a session"),
        ({"listener": 1}, "listener: got 1, expected the URI of a listener or 'new'"),
        ({"type": "binar"}, "type: got 'binar', expected 'binary' or 'console'"),
        ({"state": 2}, "state: got 2, expected 'claimed' or 'live' or 'closing'"),
        ({"idle_gt": "soon"}, "idle_gt: got 'soon', expected a number of seconds from 0 on"),
        ({"age_gt": -1}, "age_gt: got -1, expected a number of seconds from 0 on"),
        ({"age_gt": [1]}, "age_gt: got [1], expected a number of seconds from 0 on"),
        (
            {"in_flight_gt": "nan"},
            "in_flight_gt: got 'nan', expected a number of requests from 0 on",
        ),
        ({"idle_gt": True}, "idle_gt: got True, expected a number of seconds from 0 on"),
        ({"peer": "10.0.0.0/33"}, f"peer: got '10.0.0.0/33', expected {PEER}"),
        ({"peer": "10.1.2.3/8"}, f"peer: got '10.1.2.3/8', expected {PEER}"),
        ({"peer": "localhost"}, f"peer: got 'localhost', expected {PEER}"),
        ({"peer": "localhost:80"}, f"peer: got 'localhost:80', expected {PEER}"),
        ({"peer": "[x]:80"}, f"peer: got '[x]:80', expected {PEER}"),
        ({"peer": 1}, f"peer: got 1, expected {PEER}"),
        ({"limit": "-1"}, "limit: got '-1', expected a whole number from 0 on"),
        ({"after": "x"}, "after: got 'x', expected a whole number from 0 on"),
        ({"order": "attrs"}, f"order: got 'attrs', expected {ORDERS}"),
        ({"order": 1}, f"order: got 1, expected {ORDERS}"),
        (
            {"after": 1, "order": "-age"},
            "after: got 1, expected the order to be id or -id, not -age",
        ),
    ],
)
def test_what_is_no_filter(given: dict[str, Any], told: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse(given)
    assert str(caught.value) == told


def test_sessions_that_have_ended() -> None:
    assert parse({}, ENDED) == filters.NEWEST
    assert parse({"reason": "killed", "order": "ended"}, ENDED) == Filter(
        (Condition("reason", ("killed",)),), order="ended"
    )


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"state": "live"}, f"filter: got 'state', expected {ENDED_KEYS}"),
        ({"after": 1}, f"filter: got 'after', expected {ENDED_KEYS}"),
        (
            {"reason": "bored"},
            f"reason: got 'bored', expected {' or '.join(map(repr, filters.REASONS))}",
        ),
        (
            {"order": "idle"},
            f"order: got 'idle', expected {ENDED_ORDERS}",
        ),
    ],
    ids=str,
)
def test_what_is_no_filter_of_those(given: dict[str, Any], told: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse(given, ENDED)
    assert str(caught.value) == told


def test_reasons_are_asked_of_those_that_have_ended() -> None:
    with pytest.raises(FilterError, match="filter: got 'reason'"):
        parse({"reason": "idle"})
