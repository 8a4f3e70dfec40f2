"""How one value of the settings is read: from YAML, from an environment variable, from a flag.

Each reader takes what was given (text, or what YAML made of it) and returns the value, or raises
ValueError. ``Expected`` is the text for the person who gave something else. Pure but for looking
whether the application file is there.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from server import uri
from server.shown import scalar
from shm import layout

MAX_WORKERS: Final = layout.MAX_WORKERS
MAX_SESSIONS: Final = 16_000_000
"""4 GB of session table."""
MIN_PACKET: Final = 1024
MAX_PACKET: Final = 2**30
"""Lengths of packets are 32-bit numbers, and buffers are measured with signed ones."""
MAX_WAITING: Final = 1_000_000
"""Each waiting request is a coroutine, a kilobyte and more."""
MIN_EVENTS: Final = 64 * 1024
MAX_EVENTS: Final = 2**30
"""Room for all values that watchers are told of, in memory that every worker maps."""
MAX_STOP: Final = 3600
MAX_DRAIN: Final = 30 * 24 * 3600
MAX_REQUEST_TIME: Final = 86400
MIN_SLOW: Final = 0.01
"""Seconds; requests are not looked at more often than each few milliseconds."""
MAX_SLOW: Final = 86400
MIN_HANG: Final = 2
"""Seconds; the loop of an idle worker turns twice a second, one of a busy machine less often."""
MAX_HANG: Final = 86400
MAX_RATE: Final = 1_000_000
"""New connections a second."""
MAX_KEEPALIVE: Final = 32767
"""Seconds; what the system takes."""
MAX_PROBES: Final = 127
MAX_USER_TIMEOUT: Final = 86400
MAX_LIFE: Final = 31_536_000
"""A year: longer than that no session is silent, or old."""
PARAMS_EXPECTED: Final = "expected no params but proxy_protocol: true or false"
LIFE_EXPECTED: Final = f"seconds from 0 (no limit) to {MAX_LIFE}"
MIN_INBOX: Final = 1024
MAX_AUTH_DELAY: Final = 86400
MAX_RETRIES: Final = 1_000_000
MAX_PASSWORD: Final = 1024
"""Characters that a rule may ask for."""
MAX_INBOX: Final = 2**28
MIN_OUTPUT: Final = 1024 * 1024
"""Up to here a session is slowed down by not being read."""
MAX_OUTPUT: Final = 2**31
MIN_LUA_MEMORY: Final = 32 * 1024 * 1024
MAX_LUA_MEMORY: Final = 2**40
MAX_METRICS: Final = 8
"""Listeners of metrics."""
AUTO: Final = "auto"

LOG_LEVELS: Final = ("fatal", "syserror", "error", "crit", "warn", "info", "verbose", "debug")
"""Tarantool's names in the order of Tarantool's numbers, 0 to 7."""

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_DECIMAL: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_WHOLE: Final = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True)
class Expected:
    """What a key wants, for the end of an error line."""

    text: str


@dataclass(frozen=True)
class Whole:
    """A reader of whole numbers from ``low`` to ``high``."""

    low: int
    high: int

    def __call__(self, value: Any) -> int:
        """The value; ValueError else."""
        if isinstance(value, str) and _WHOLE.fullmatch(value):
            value = int(value)
        if type(value) is not int or not self.low <= value <= self.high:
            raise ValueError
        return value


def whole(low: int, high: int) -> Whole:
    """A reader of whole numbers from ``low`` to ``high``."""
    return Whole(low, high)


def whole_or_none(low: int, high: int) -> Callable[[Any], int]:
    """A reader of 0, for no limit, and of whole numbers from ``low`` to ``high``."""

    def read(value: Any) -> int:
        number = whole(0, high)(value)
        if 0 < number < low:
            raise ValueError
        return number

    return read


@dataclass(frozen=True)
class Seconds:
    """A reader of seconds, with fractions, from 0 to ``high``."""

    high: int

    def __call__(self, value: Any) -> float:
        """The value; ValueError else."""
        if isinstance(value, str) and _DECIMAL.fullmatch(value):
            value = float(value)
        if type(value) not in (int, float) or not 0 <= value <= self.high:
            raise ValueError
        return float(value)


def seconds(high: int) -> Seconds:
    """A reader of seconds, with fractions, from 0 to ``high``."""
    return Seconds(high)


def seconds_or_none(low: float, high: int) -> Callable[[Any], float]:
    """A reader of 0, for no limit, and of seconds, with fractions, from ``low`` to ``high``."""

    def read(value: Any) -> float:
        number = seconds(high)(value)
        if 0 < number < low:
            raise ValueError
        return number

    return read


class Share:
    """A reader of a part, from 0 to 1, for which off may stand, as YAML takes it for false."""

    NONE: Final = ("off", False)

    def __call__(self, value: Any) -> float:
        """The value; ValueError else."""
        return 0.0 if value is False or value == "off" else seconds(1)(value)


share: Final = Share()


def workers(value: Any) -> int | str:
    """``auto`` or a number of workers."""
    return AUTO if value == AUTO else whole(1, MAX_WORKERS)(value)


def log_level(value: Any) -> str:
    """A level by name or number, as Tarantool takes it, under a name that the log knows."""
    if not isinstance(value, str) or value not in LOG_LEVELS:
        value = LOG_LEVELS[whole(0, len(LOG_LEVELS) - 1)(value)]
    return "error" if value == "syserror" else value


@dataclass(frozen=True)
class Choice:
    """A reader of one word out of ``words``."""

    words: tuple[str, ...]

    def __call__(self, value: Any) -> str:
        """The value; ValueError else."""
        if not isinstance(value, str) or value not in self.words:
            raise ValueError
        return value


def choice(*words: str) -> Choice:
    """A reader of one word out of ``words``."""
    return Choice(words)


def dialect(value: Any) -> str:
    """How consoles write YAML; YAML itself takes 2.6 for a number."""
    return choice("2.6", "new")(str(value) if isinstance(value, float) else value)


def switch(value: Any) -> bool:
    """True or false; as text for the environment."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value in ("true", "false"):
        return value == "true"
    raise ValueError


class NetworkError(ValueError):
    """A text that is no network; the message says which, and why."""


def networks(value: Any) -> tuple[str, ...]:
    """Networks, as a list or with commas between: addresses with the number of leading bits.

    NetworkError for a text that is none, ValueError for anything else.
    """
    if isinstance(value, str):
        value = value.split(",") if value.strip() else []
    if not isinstance(value, (list, tuple)) or not all(isinstance(one, str) for one in value):
        raise ValueError
    return tuple(_network(one.strip()) for one in value)


def _network(text: str) -> str:
    """A network; with bits behind the leading ones it is none, then somebody means another one."""
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        meant = ""
        with contextlib.suppress(ValueError):
            meant = f", {ipaddress.ip_network(text, strict=False)} is"
        raise NetworkError(f"{scalar(text)} is none{meant}") from error


def server_name(value: Any) -> str:
    """A name that can be part of a path, a title and a segment's name."""
    # "." and ".." would walk out of the folders that are named after the server.
    if not isinstance(value, str) or not _NAME.fullmatch(value) or not value.strip("."):
        raise ValueError
    return value


def folder(value: Any) -> Path | None:
    """A folder, made absolute from where the command was typed."""
    if value is None:
        return None
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError
    try:
        return Path(value).expanduser().absolute()
    except RuntimeError as error:
        raise ValueError from error


def lua_file(value: Any) -> Path | None:
    """A file that exists, made absolute."""
    path = folder(value)
    try:
        there = path is None or path.is_file()
    except OSError:
        there = False
    if not there:
        raise ValueError
    return path


def uris(most: int, *, proxied: bool = False) -> Callable[[Any], tuple[uri.Uri, ...]]:
    """A reader of at most ``most`` listen URIs: one text, a number, or a list.

    With ``proxied`` clients may come through a proxy that says who they are.
    """

    def read(value: Any) -> tuple[uri.Uri, ...]:
        found = _uris(value)
        if len(found) > most:
            raise uri.UriError(f"expected at most {most} listen URIs")
        if not proxied and any(one.proxy for one in found):
            raise uri.UriError("expected no proxy_protocol, which is for iproto.listen")
        return found

    return read


def _uris(value: Any) -> tuple[uri.Uri, ...]:
    """URIs of a text (commas between several, or JSON), of a number, or of a list.

    Members of a list are texts, port numbers or maps ``{uri: text, params: {...}}``.
    """
    if isinstance(value, str) and value.lstrip().startswith(("[{", '["')):
        value = json.loads(value)
    if isinstance(value, str) or type(value) is int:
        value = [value]
    if not isinstance(value, (list, tuple)) or not value:
        raise ValueError
    parts = [part for member in value for part in _parts(member)]
    found = tuple(_parsed(part, place, len(parts)) for place, part in enumerate(parts, 1))
    for number, one in enumerate(found):
        if (
            any(uri.same_place(one, other) for other in found[:number])
            and getattr(one, "port", 1) != 0
        ):
            raise uri.UriError("expected every listen URI once")
    return found


def _parts(member: Any) -> list[str]:
    """The texts of one member of a list; commas separate several."""
    if isinstance(member, dict):
        params = member.get("params", {})
        if "uri" not in member or not set(member) <= {"uri", "params"}:
            raise uri.UriError("expected of a map the keys uri and params")
        if not isinstance(params, dict) or not set(params) <= {"proxy_protocol"}:
            raise uri.UriError(PARAMS_EXPECTED)
        return _with_params(_parts(member["uri"]), **params)
    if type(member) is int:
        member = str(member)
    if not isinstance(member, str):
        raise uri.UriError(f"expected {uri.EXPECTED}")
    return [part.strip() for part in member.split(",")]


def _with_params(parts: list[str], proxy_protocol: Any = None) -> list[str]:
    """Texts with the parameters of a map; those of the text itself come first."""
    if proxy_protocol is None:
        return parts
    try:
        proxied = switch(proxy_protocol)
    except ValueError as error:
        raise uri.UriError(PARAMS_EXPECTED) from error
    suffix = f"?proxy_protocol={'true' if proxied else 'false'}"
    return [part if "?" in part else part + suffix for part in parts]


def _parsed(text: str, place: int, count: int) -> uri.Uri:
    """One listen URI. An error tells its place, not its text: there may be a password in it."""
    try:
        return uri.parse(text)
    except uri.UriError as error:
        raise uri.UriError(f"{error} as number {place}" if count > 1 else str(error)) from error
