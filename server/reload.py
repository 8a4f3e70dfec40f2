"""What a change of the settings means for a server that runs. Pure: settings in, a plan out.

    old, new --plan()--> live           told to every process, in force at once
                         fresh          in force in workers that start from now on
                         needs_restart  kept as they were, and named in the log
         --merged()--> the settings that the server has from now on

:mod:`server.supervisor` reads the settings and carries the plan out; :func:`messages` makes of the
live ones what goes over the control channels.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgpack
import pydantic

from server import admission
from server.credentials import KEY
from server.settings import Settings
from shm.channel import MAX_MESSAGE

LIVE: Final = frozenset(
    {
        *admission.KEYS,
        "iproto.net_msg_max",
        "iproto.net_msg_max_per_worker",
        "limits.request_time",
        "log.access",
        "log.format",
        "log.level",
        "log.slow_request",
        "lua.memory",
        "process.stop_timeout",
        "security.auth_delay",
        "security.auth_retries",
        "security.disable_guest",
        "security.keep_sessions_on_password_change",
        "security.password_enforce_digits",
        "security.password_enforce_lowercase",
        "security.password_enforce_specialchars",
        "security.password_enforce_uppercase",
        "security.password_min_length",
        "session.idle_timeout",
        "session.inbox_limit",
        "session.limits.per_user",
        "session.login_timeout",
        "session.max_age",
        "session.max_age_jitter",
        "session.output_limit",
        "session.users",
        "workers.drain_timeout",
        "workers.hang_timeout",
        "workers.start_timeout",
    }
)
"""Keys that running processes can change."""

ADJUSTABLE: Final = frozenset({"log.level", "log.slow_request"})
"""Keys that an application can change, for all processes, until the settings are read again."""

FRESH: Final = frozenset(
    {
        "app.file",
        "compat.fiber_user",
        "compat.session_results",
        "compat.session_su",
        "console.dialect",
        "developer.jit_log",
        "iproto.max_packet_size",
        "iproto.threads",
        "process.scheduling",
    }
)
"""Keys that a worker is told once, when it starts."""

_HEAD: Final = 256
"""Bytes of a message that are not its values, and some to spare."""


class TooLongError(Exception):
    """A value that fits into no message; the text names its key."""


@dataclass(frozen=True)
class Plan:
    """What is to be done about the keys that differ, each in the order of the schema."""

    live: Mapping[str, Any]
    fresh: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()


def plan(old: Settings, new: Settings) -> Plan:
    """Sort out what differs; credentials are no part of it, they are applied as a whole."""
    before, after = flat(old), flat(new)
    changed = {key: value for key, value in after.items() if before[key] != value}
    return Plan(
        {key: value for key, value in changed.items() if key in LIVE},
        tuple(key for key in changed if key in FRESH),
        tuple(key for key in changed if key not in LIVE | FRESH),
    )


def live(settings: Settings) -> dict[str, Any]:
    """All values that can change later, for the order of a process that starts."""
    return {key: value for key, value in flat(settings).items() if key in LIVE}


def merged(old: Settings, new: Settings, kept: Collection[str]) -> Settings:
    """The new settings with the old values of the keys in ``kept``."""
    made: Settings = _merged(old, new, kept, "")
    return made


def adjusted(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """The settings with other values of keys in ADJUSTABLE; ValueError says what is wrong."""
    made = settings
    for key, value in values.items():
        if key not in ADJUSTABLE:
            raise ValueError(f"{key}: an application cannot change it")
        head, name = key.split(".")
        section = getattr(made, head)
        new = type(section).model_validate({**section.model_dump(), name: value})
        made = made.model_copy(update={head: new})
    return made


def messages(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Messages that carry all values; TooLongError when one of them fits into none."""
    made: list[dict[str, Any]] = []
    room = 0
    for key, value in values.items():
        size = len(msgpack.packb({key: value}))
        if size > MAX_MESSAGE - _HEAD:
            raise TooLongError(
                f"{key}: got {size} bytes, expected at most {MAX_MESSAGE - _HEAD}, "
                "which is what running processes can be told; a restart takes more"
            )
        if size > room:
            made.append({"op": "settings", "values": {}})
            room = MAX_MESSAGE - _HEAD
        made[-1]["values"][key] = value
        room -= size
    return made


def flat(settings: Settings) -> dict[str, Any]:
    """Values by dotted key, without the credentials."""
    return dict(_walk(settings, ""))


def _walk(branch: pydantic.BaseModel, prefix: str) -> Iterator[tuple[str, Any]]:
    for name in type(branch).model_fields:
        value = getattr(branch, name)
        if isinstance(value, pydantic.BaseModel):
            yield from _walk(value, f"{prefix}{name}.")
        elif name != KEY:
            yield prefix + name, value


def _merged(old: Any, new: Any, kept: Collection[str], prefix: str) -> Any:
    values = {}
    for name in type(new).model_fields:
        before, after, key = getattr(old, name), getattr(new, name), prefix + name
        if isinstance(after, pydantic.BaseModel):
            values[name] = _merged(before, after, kept, f"{key}.")
        else:
            values[name] = before if key in kept else after
    return new.model_copy(update=values)
