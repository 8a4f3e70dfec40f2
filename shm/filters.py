"""Which sessions are meant: a filter, read from plain values. Pure.

    {"user": "ada", "not_peer": ["10.0.0.0/8"], "idle_gt": 60, "order": "-age", "limit": 20}
        --parse()--> Filter(conditions, order, limit, after) --> shm.census

Keys of conditions: ``id user uid peer type worker listener name state idle_gt age_gt``
``in_flight_gt``, each also as ``not_...``; a list means any of its values. A session is meant when
every condition holds. Numbers may come as text, as they do from a command line.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

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
"""What is told of a session; all but ``attrs`` can be ordered by."""
TYPES: Final = ("binary", "console")
STATES: Final = ("claimed", "live", "closing")

_WHOLE: Final = re.compile(r"[0-9]{1,19}")
_PORT: Final = re.compile(r".*\S:[0-9]{1,5}")


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


def parse(given: Mapping[str, Any]) -> Filter:
    """The filter that plain values stand for; FilterError when they stand for none."""
    conditions = []
    for key, value in given.items():
        if key in ("limit", "order", "after"):
            continue
        plain = key.removeprefix(NEGATION)
        read = _READERS.get(plain)
        if read is None:
            raise FilterError("filter", key, f"one of {', '.join(_NAMES)}")
        listed = value if isinstance(value, list | tuple) else (value,)
        values = tuple(read(key, each) for each in listed)
        conditions.append(Condition(plain, values, negated=key != plain))
    order = given.get("order", "id")
    field = order.removeprefix("-") if isinstance(order, str) else ""
    if field not in FIELDS or field == "attrs":
        fields = ", ".join(each for each in FIELDS if each != "attrs")
        raise FilterError("order", order, f"one of {fields}, or '-' before one to turn it round")
    after = given.get("after")
    if after is not None and field != "id":
        raise FilterError("after", after, f"the order to be that of id, not of {field}")
    return Filter(
        tuple(conditions),
        field,
        order.startswith("-"),
        None if given.get("limit") is None else _positive("limit", given["limit"]),
        None if after is None else _whole("after", after),
    )


def _whole(key: str, given: Any, expected: str = "a whole number from 0") -> int:
    if isinstance(given, str) and _WHOLE.fullmatch(given):
        return int(given)
    if isinstance(given, bool) or not isinstance(given, int) or given < 0:
        raise FilterError(key, given, expected)
    return given


def _positive(key: str, given: Any) -> int:
    expected = "a whole number from 1"
    if not (found := _whole(key, given, expected)):
        raise FilterError(key, given, expected)
    return found


def _number(key: str, given: Any) -> float:
    try:
        found = math.nan if isinstance(given, bool) else float(given)
    except (TypeError, ValueError):
        found = math.nan
    if not 0 <= found < math.inf:
        raise FilterError(key, given, "a number from 0")
    return found


def _text(key: str, given: Any) -> str:
    if not isinstance(given, str):
        raise FilterError(key, given, "text")
    return given


def _one_of(names: Iterable[str]) -> Callable[[str, Any], str]:
    known = tuple(names)

    def read(key: str, given: Any) -> str:
        if given not in known:
            raise FilterError(key, given, f"one of {', '.join(known)}")
        return str(given)

    return read


def _peer(key: str, given: Any) -> str | Network:
    """The whole text of a peer, or a network; an address without a port is one of its own."""
    expected = "address:port, an address, a network such as 10.0.0.0/8, or unix/:path"
    if not isinstance(given, str):
        raise FilterError(key, given, expected)
    if given.startswith("unix/:"):
        return given
    bare = given[1:-1] if given.startswith("[") and given.endswith("]") else given
    try:
        network = ipaddress.ip_network(bare, strict=False)
    except ValueError:
        if "/" in given or not _PORT.fullmatch(given):
            raise FilterError(key, given, expected) from None
        return given
    return Network(network.version, int(network.network_address), int(network.netmask))


_READERS: Final[dict[str, Callable[[str, Any], Any]]] = {
    "id": _whole,
    "user": _text,
    "uid": _whole,
    "peer": _peer,
    "type": _one_of(TYPES),
    "worker": _whole,
    "listener": _text,
    "name": _text,
    "state": _one_of(STATES),
    "idle_gt": _number,
    "age_gt": _number,
    "in_flight_gt": _number,
}
CONDITIONS: Final = tuple(_READERS)
"""The keys of conditions, without their negations."""
_NAMES: Final = (*CONDITIONS, f"{NEGATION}...", "order", "limit", "after")
