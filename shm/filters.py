"""Which sessions are meant: a filter, read from plain values. Pure.

    {"user": "ada", "not_peer": ["10.0.0.0/8"], "idle_gt": 60, "order": "-age", "limit": 20}
        --parse()--> Filter(conditions, order, limit, after) --> shm.census, shm.history

Keys of conditions: ``id user uid peer type worker listener name state idle_gt age_gt``
``in_flight_gt``, and ``reason`` instead of what still goes on for sessions that have ended (ENDED).
Each is there as ``not_...``, too; a list means any of its values, and those with ``_gt`` have one
value. A session is meant when every condition holds. Numbers may come as text, as they do from a
command line.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

from shm.states import EndReason

NEGATION: Final = "not_"
GREATER: Final = "_gt"
FIELDS: Final = (
    "id",
    "type",
    "user",
    "uid",
    "peer",
    "listener",
    "worker",
    "state",
    "connected",
    "age",
    "idle",
    "requests",
    "in_flight",
    "bytes_in",
    "bytes_out",
    "pending_out",
    "inbox_bytes",
    "name",
    "attrs",
    "reason",
)
"""What is told of a session."""
TYPES: Final = ("binary", "console")
STATES: Final = ("claimed", "live", "closing")
REASONS: Final = tuple(each.name.lower() for each in EndReason if each)


class FilterError(ValueError):
    """A filter that is none; the message names the key, what was given and what was expected."""

    def __init__(self, key: str, given: Any, expected: str) -> None:
        super().__init__(f"{key}: got {given!r}, expected {expected}")
        self.key = key
        self.given = given
        self.expected = expected


class Network(NamedTuple):
    """Addresses that begin alike: those whose ``mask`` bits are ``bits``."""

    version: int
    bits: int
    mask: int


@dataclass(frozen=True)
class Condition:
    """One key of a filter: it holds for any of ``values``, or, ``negated``, for none of them."""

    key: str
    values: tuple[Any, ...]
    negated: bool = False


@dataclass(frozen=True)
class Filter:
    """All conditions, and which of the sessions that they hold for come first."""

    conditions: tuple[Condition, ...] = ()
    order: str = "id"
    descending: bool = False
    limit: int | None = None
    after: int | None = None
    """The last id of the page before: only those behind it, which is in the order of ids."""


ALL: Final = Filter()
NEWEST: Final = Filter(order="ended", descending=True)
"""All that have ended, the last one first."""


class Kind(NamedTuple):
    """What may be said of sessions of one kind, and in which order they come unless one is said."""

    conditions: tuple[str, ...]
    orders: tuple[str, ...]
    order: str
    pages: bool
    """Whether ``after`` has a meaning."""


def parse(given: Mapping[str, Any], kind: Kind | None = None) -> Filter:
    """The filter that plain values stand for; FilterError when they stand for none.

    ``kind``: SESSIONS, which exist, unless it is ENDED.
    """
    kind = kind or SESSIONS
    conditions = []
    others = ("order", "limit", "after") if kind.pages else ("order", "limit")
    for key, value in given.items():
        plain = key.removeprefix(NEGATION)
        if key in others:
            continue
        if plain not in kind.conditions:
            known = ", ".join(kind.conditions + others)
            raise FilterError("filter", key, f"one of {known}; conditions also with not_ in front")
        conditions.append(_condition(key, plain, value))
    order, after, limit = given.get("order", kind.order), given.get("after"), given.get("limit")
    field = order.removeprefix("-") if isinstance(order, str) else ""
    if field not in kind.orders:
        known = ", ".join(kind.orders)
        raise FilterError("order", order, f"one of {known}, or one with '-' in front")
    if after is not None and field != "id":
        raise FilterError("after", after, f"the order to be id or -id, not {order}")
    return Filter(
        tuple(conditions),
        field,
        order.startswith("-"),
        None if limit is None else _count("limit", limit),
        None if after is None else _count("after", after),
    )


def _condition(key: str, plain: str, value: Any) -> Condition:
    if plain in _SINGLES:
        values: tuple[Any, ...] = (_SINGLES[plain](key, value),)
    else:
        listed = value if isinstance(value, list | tuple) else (value,)
        values = tuple(_LISTS[plain](key, each) for each in listed)
    return Condition(plain, values, negated=key != plain)


def _whole(least: int, most: int, expected: str) -> _Reader:
    def read(key: str, given: Any) -> int:
        number = int(given) if isinstance(given, str) and _WHOLE.fullmatch(given) else given
        if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
            raise FilterError(key, given, expected)
        return number

    return read


def _number(expected: str) -> _Reader:
    def read(key: str, given: Any) -> float:
        try:
            found = math.nan if isinstance(given, bool) else float(given)
        except (TypeError, ValueError):
            found = math.nan
        if not 0 <= found < math.inf:
            raise FilterError(key, given, expected)
        return found

    return read


def _text(expected: str) -> _Reader:
    def read(key: str, given: Any) -> str:
        if not isinstance(given, str):
            raise FilterError(key, given, expected)
        return given

    return read


def _word(*known: str) -> _Reader:
    def read(key: str, given: Any) -> str:
        if given not in known:
            raise FilterError(key, given, " or ".join(map(repr, known)))
        return str(given)

    return read


def _peer(key: str, given: Any) -> str | Network:
    """The whole text of a peer, or a network; an address without a port is one of its own."""
    if isinstance(given, str) and given.startswith("unix/:"):
        return given
    try:
        if whole := _WITH_PORT.fullmatch(str(given)):
            ipaddress.ip_address(whole[1] or whole[2])
            return str(given)
        return _network(_bare(given))
    except ValueError:
        raise FilterError(key, given, _PEER) from None


def _network(text: str) -> Network:
    network = ipaddress.ip_network(text)
    first, length = network.network_address, network.prefixlen
    if isinstance(first, ipaddress.IPv6Address) and first.ipv4_mapped and length >= _MAPPED:
        network = ipaddress.ip_network((int(first.ipv4_mapped), length - _MAPPED))
    return Network(network.version, int(network.network_address), int(network.netmask))


def _bare(given: Any) -> str:
    """Without the brackets of an IPv6 address."""
    host, slash, bits = str(given).partition("/")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    return host + slash + bits


_Reader: TypeAlias = Callable[[str, Any], Any]

_MOST: Final = (1 << 53) - 1
_WHOLE: Final = re.compile(r"[0-9]{1,16}")
_WITH_PORT: Final = re.compile(r"(?:\[([^]]*)\]|([0-9.]+)):[0-9]{1,5}")
_MAPPED: Final = 96
"""Bits that IPv4 addresses written as IPv6 begin with."""
_PEER: Final = (
    "an address like 10.0.0.1, 10.0.0.1:4000 or [::1]:4000, a network like 10.0.0.0/8 or "
    "2001:db8::/32, or a text that begins with unix/:"
)
_SECONDS: Final = _number("a number of seconds from 0 on")
_LISTS: Final[dict[str, _Reader]] = {
    "id": _whole(1, _MOST, "the id of a session"),
    "user": _text("the name of a user"),
    "uid": _whole(0, (1 << 32) - 1, "the number of a user"),
    "peer": _peer,
    "type": _word(*TYPES),
    "worker": _whole(0, (1 << 16) - 1, "the number of a worker"),
    "listener": _text("the URI of a listener or 'new'"),
    "name": _text("the name of a session"),
    "state": _word(*STATES),
    "reason": _word(*REASONS),
}
_SINGLES: Final[dict[str, _Reader]] = {
    "age_gt": _SECONDS,
    "idle_gt": _SECONDS,
    "in_flight_gt": _number("a number of requests from 0 on"),
}
_count: Final = _whole(0, _MOST, "a whole number from 0 on")
LISTS: Final = tuple(_LISTS)
"""Keys of conditions that may have several values."""
CONDITIONS: Final = (*_LISTS, *_SINGLES)
"""All keys of conditions, without their negations."""
_GOING_ON: Final = ("state", "idle_gt", "in_flight_gt")
_STILL: Final = ("state", "idle", "in_flight", "pending_out", "inbox_bytes")
_ORDERS: Final = tuple(field for field in FIELDS if field != "attrs")
SESSIONS: Final = Kind(
    tuple(key for key in CONDITIONS if key != "reason"), _ORDERS, "id", pages=True
)
ENDED: Final = Kind(
    tuple(key for key in CONDITIONS if key not in _GOING_ON),
    (*(field for field in _ORDERS if field not in _STILL), "ended"),
    "-ended",
    pages=False,
)
