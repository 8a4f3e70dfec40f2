"""What Lua asks of Python: log lines, JSON and YAML text, hashes, base64, facts.

``workers.process`` makes the services once with :func:`make_services` and hands them to the Lua
runtime, where ``workers/lua/modules`` find them as ``require('beespace.bridge')``. Nothing here is
on the request path. Values cross as MessagePack bytes, texts as bytes, so that what a Lua value
means is decided in one place, the codec. A service never raises: it answers ``(None, text)``.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgpack

from shm import logs, packets
from shm.launch import LogOrder
from workers import decimals, reading, rendering, texts

MAX_PBKDF2_SIZE: Final = 128
HASHES: Final = frozenset({"md5", "sha1", "sha224", "sha256", "sha384", "sha512"})


Service = Callable[..., Any]


@dataclass
class Context:
    """Who the services work for: the log form and role of the process, the version of beespace.

    The log's form may be another one later. ``adjust`` is called with a setting, by its dotted key,
    that the application wants to have another value in all processes.
    """

    version: str
    role: str = "worker"
    log: LogOrder = field(default_factory=LogOrder)
    adjust: Callable[[str, Any], None] = lambda _key, _value: None


def make_services(context: Context) -> dict[str, Service]:
    """The table of services for :class:`workers.runtime.Runtime`."""
    services: dict[str, Service] = {
        "adjust": functools.partial(_adjust, context),
        "log": _log,
        "log_format": functools.partial(_log_format, context),
        "log_request": _log_request,
        "log_level": functools.partial(_log_level, context),
        "json_encode": texts.json_encode,
        "json_decode": texts.json_decode,
        "yaml_render": rendering.render,
        "decimal": decimals.decimal,
        "yaml_read": reading.read,
        "yaml_tag": reading.tag,
        "digest": digest,
        "pbkdf2": pbkdf2,
        "base64_encode": base64_encode,
        "base64_decode": texts.base64_decode,
        "descriptors": _descriptors,
        "versions": functools.partial(_versions, context),
    }
    return guarded(services)


def guarded(services: Mapping[str, Service]) -> dict[str, Service]:
    """The same services, none of which raises."""
    return {name: _guarded(service) for name, service in services.items()}


def _guarded(service: Service) -> Service:
    def call(*arguments: Any) -> Any:
        try:
            return service(*arguments)
        except RecursionError:
            return None, b"Too high nest level"
        except Exception as error:  # noqa: BLE001 - a Python error must not unwind through Lua
            return None, (str(error) or type(error).__name__).encode("utf-8", "replace")

    return call


# Log ---------------------------------------------------------------------------------------------


def _log(level: bytes, text: bytes, session: float = 0, name: bytes | None = None) -> None:
    context: dict[str, Any] = {"session": int(session)} if session else {}
    fields = {"module": name.decode("utf-8", "replace")} if name else {}
    logs.get(**context).log(level.decode(), text.decode("utf-8", "replace"), **fields)


def _log_request(
    level: bytes,
    event: bytes,
    session: float,
    user: bytes | None,
    peer: bytes | None,
    request: bytes,
    seconds: float,
    outcome: bytes | None = None,
) -> None:
    """A line about one request, whose words are ``request``; ``outcome`` tells how it ended."""
    texts = {"user": user, "peer": peer, "request": request, "outcome": outcome}
    fields: dict[str, Any] = {
        key: text.decode("utf-8", "replace") for key, text in texts.items() if text is not None
    }
    fields["request"] = packets.discreet(fields["request"])
    context: dict[str, Any] = {"session": int(session)} if session else {}
    logs.get(**context).log(level.decode(), event.decode(), **fields, ms=round(seconds * 1000, 3))


def _log_format(context: Context) -> bytes:
    return context.log.format.encode()


def _log_level(context: Context, level: bytes | None = None) -> bytes:
    """The level this process logs at, when none is given; else set it (for this process only)."""
    if level is None:
        return context.log.level.encode()
    name = level.decode()
    if name not in logs.LEVELS:
        raise ValueError(f"log level {name!r}: expected one of {', '.join(logs.LEVELS)}")
    context.log = replace(context.log, level=name)
    logs.configure(context.log, context.role)
    return level


def _adjust(context: Context, key: bytes, value: Any) -> None:
    context.adjust(key.decode(), value.decode() if isinstance(value, bytes) else value)


def _descriptors() -> int:
    """Open descriptors of this process, counted one by one."""
    return len(os.listdir("/proc/self/fd")) - 1


def _versions(context: Context) -> bytes:
    facts = {"beespace": context.version, "python": platform.python_version()}
    return bytes(msgpack.packb(facts))


# Hashes and base64 -------------------------------------------------------------------------------


def digest(name: bytes, data: bytes) -> bytes:
    """The raw digest of bytes; ``name`` is one of HASHES."""
    algorithm = name.decode()
    if algorithm not in HASHES:
        raise ValueError(f"unknown hash {algorithm!r}: expected one of {', '.join(sorted(HASHES))}")
    return hashlib.new(algorithm, data, usedforsecurity=False).digest()


def pbkdf2(password: bytes, salt: bytes, iterations: float, size: float) -> bytes:
    """PBKDF2 with SHA-256; ``size`` in bytes, at most MAX_PBKDF2_SIZE."""
    if size > MAX_PBKDF2_SIZE:
        raise ValueError("too big digest size")
    return hashlib.pbkdf2_hmac("sha256", password, salt, int(iterations), int(size))


_LINE_BYTES: Final = 54


def base64_encode(data: bytes, pad: bool = True, wrap: bool = True, urlsafe: bool = False) -> bytes:
    """Base64 in lines of 72 characters; a full line ends with a line feed, the last one too."""
    text = base64.urlsafe_b64encode(data) if urlsafe else base64.b64encode(data)
    if not pad:
        text = text.rstrip(b"=")
    if not wrap:
        return text
    lines = [text[i : i + 72] for i in range(0, len(text), 72)]
    full = len(data) // _LINE_BYTES
    return b"".join(line + b"\n" if i < full else line for i, line in enumerate(lines))
