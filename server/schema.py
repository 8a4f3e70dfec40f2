"""The sections of the settings: every key with its default and what it expects.

:mod:`server.settings` puts them together; :mod:`server.values` reads single values.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pydantic
from pydantic import BeforeValidator, ConfigDict

from server import admission, session_users, uri, values
from server.values import Expected
from shm import layout
from shm.catalog.passwords import Rules


class _Section(pydantic.BaseModel):
    # Values are shown by server.settings only, and parsed types such as URIs are plain classes.
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


_Switch = Annotated[bool, BeforeValidator(values.switch), Expected("true or false")]


class Keepalive(_Section):
    """When the system asks a silent client whether it is there."""

    idle: Annotated[
        int,
        BeforeValidator(values.whole(0, values.MAX_KEEPALIVE)),
        Expected(f"seconds from 0 (never) to {values.MAX_KEEPALIVE}"),
    ] = 60
    interval: Annotated[
        int,
        BeforeValidator(values.whole(1, values.MAX_KEEPALIVE)),
        Expected(f"seconds from 1 to {values.MAX_KEEPALIVE}"),
    ] = 15
    count: Annotated[
        int,
        BeforeValidator(values.whole(1, values.MAX_PROBES)),
        Expected(f"a number of packets from 1 to {values.MAX_PROBES}"),
    ] = 4


class Iproto(_Section):
    """Sockets and the processes behind them."""

    listen: Annotated[
        tuple[uri.TcpUri | uri.UnixUri, ...],
        BeforeValidator(values.uris(layout.MAX_LISTENERS, proxied=True)),
        Expected(f"listen URIs: {uri.EXPECTED}"),
    ] = (uri.TcpUri(uri.LOOPBACK, 3301),)
    threads: Annotated[
        int | str,
        BeforeValidator(values.workers),
        Expected(f"a number of workers from 1 to {values.MAX_WORKERS}, or auto"),
    ] = values.AUTO
    max_packet_size: Annotated[
        int,
        BeforeValidator(values.whole(values.MIN_PACKET, values.MAX_PACKET)),
        Expected(f"bytes from {values.MIN_PACKET} to {values.MAX_PACKET}"),
    ] = 64 * 1024 * 1024
    net_msg_max: Annotated[
        int,
        BeforeValidator(values.whole(1, values.MAX_WAITING)),
        Expected(f"a number of requests from 1 to {values.MAX_WAITING}"),
    ] = 768
    net_msg_max_per_worker: Annotated[
        int,
        BeforeValidator(values.whole(1, values.MAX_WAITING)),
        Expected(f"a number of requests from 1 to {values.MAX_WAITING}"),
    ] = 65536
    keepalive: Keepalive = Keepalive()
    user_timeout: Annotated[
        float,
        BeforeValidator(values.seconds(values.MAX_USER_TIMEOUT)),
        Expected(f"seconds from 0 (the system's choice) to {values.MAX_USER_TIMEOUT}"),
    ] = 0.0
    proxy_trusted: Annotated[
        tuple[str, ...],
        BeforeValidator(values.networks),
        Expected("a list of networks: 10.0.0.0/8, 2001:db8::/32 or single addresses"),
    ] = admission.LOOPBACK


class Console(_Section):
    """The admin consoles; None means one, in the run directory."""

    enabled: _Switch = True
    listen: Annotated[
        tuple[uri.TcpUri | uri.UnixUri, ...] | None,
        BeforeValidator(values.uris(layout.MAX_CONSOLES)),
        Expected(f"listen URIs: {uri.EXPECTED}"),
    ] = None
    allow_remote: _Switch = False
    dialect: Annotated[str, BeforeValidator(values.dialect), Expected("2.6 or new")] = "2.6"


class Metrics(_Section):
    """Metrics and health over HTTP; None means that there is no such process."""

    listen: Annotated[
        tuple[uri.TcpUri | uri.UnixUri, ...] | None,
        BeforeValidator(values.uris(values.MAX_METRICS)),
        Expected(f"listen URIs: {uri.EXPECTED}"),
    ] = None
    allow_remote: _Switch = False


class Limits(_Section):
    """Upper bounds on sessions."""

    total: Annotated[
        int,
        BeforeValidator(values.whole(1, values.MAX_SESSIONS)),
        Expected(f"a number of sessions from 1 to {values.MAX_SESSIONS}"),
    ] = 65536
    per_address: Annotated[
        int,
        BeforeValidator(values.whole(0, values.MAX_SESSIONS)),
        Expected(f"a number of sessions from 1 to {values.MAX_SESSIONS}, or 0 for any"),
    ] = 0
    per_user: Annotated[
        int,
        BeforeValidator(values.whole(0, values.MAX_SESSIONS)),
        Expected(f"a number of sessions from 1 to {values.MAX_SESSIONS}, or 0 for any"),
    ] = 0
    accept_rate: Annotated[
        int,
        BeforeValidator(values.whole(0, values.MAX_RATE)),
        Expected(f"connections a second from 1 to {values.MAX_RATE}, or 0 for any"),
    ] = 0


class Session(_Section):
    """Sessions. The time limits are seconds, 0 for none; ``users`` is {name: {idle_timeout: s}}."""

    limits: Limits = Limits()
    idle_timeout: Annotated[
        float,
        BeforeValidator(values.seconds(values.MAX_LIFE)),
        Expected(values.LIFE_EXPECTED),
    ] = 0.0
    login_timeout: Annotated[
        float,
        BeforeValidator(values.seconds(values.MAX_LIFE)),
        Expected(values.LIFE_EXPECTED),
    ] = 60.0
    max_age: Annotated[
        float,
        BeforeValidator(values.seconds(values.MAX_LIFE)),
        Expected(values.LIFE_EXPECTED),
    ] = 0.0
    max_age_jitter: Annotated[
        float,
        BeforeValidator(values.seconds(1)),
        Expected("a fraction from 0 to 1"),
    ] = 0.1
    users: Annotated[session_users.Users, Expected("a map of names")] = pydantic.Field(
        default_factory=dict
    )
    inbox_limit: Annotated[
        int,
        BeforeValidator(values.whole(values.MIN_INBOX, values.MAX_INBOX)),
        Expected(f"bytes from {values.MIN_INBOX} to {values.MAX_INBOX}"),
    ] = 1024 * 1024
    output_limit: Annotated[
        int,
        BeforeValidator(values.whole(values.MIN_OUTPUT, values.MAX_OUTPUT)),
        Expected(f"bytes from {values.MIN_OUTPUT} to {values.MAX_OUTPUT}"),
    ] = 64 * 1024 * 1024


class Events(_Section):
    """Values that watchers are told of."""

    memory: Annotated[
        int,
        BeforeValidator(values.whole(values.MIN_EVENTS, values.MAX_EVENTS)),
        Expected(f"bytes from {values.MIN_EVENTS} to {values.MAX_EVENTS}"),
    ] = 8 * 1024 * 1024


class Process(_Section):
    """Folders of the server, None means the user's own (see :class:`Settings`); scheduling."""

    run_dir: Annotated[
        Path | None, BeforeValidator(values.folder), Expected("the path of a folder")
    ] = None
    data_dir: Annotated[
        Path | None, BeforeValidator(values.folder), Expected("the path of a folder")
    ] = None
    stop_timeout: Annotated[
        float,
        BeforeValidator(values.seconds(values.MAX_STOP)),
        Expected(f"seconds from 0 to {values.MAX_STOP}"),
    ] = 3.0
    scheduling: Annotated[
        str, BeforeValidator(values.choice("batch", "normal")), Expected("batch or normal")
    ] = "batch"


class Workers(_Section):
    """Worker processes beyond their number, and how long the supervisor bears with them.

    The acceptor may take as long as they.
    """

    max: Annotated[
        int | str,
        BeforeValidator(values.workers),
        Expected(f"a number of workers from 1 to {values.MAX_WORKERS}, or auto"),
    ] = values.AUTO
    drain_timeout: Annotated[
        float,
        BeforeValidator(values.seconds(values.MAX_DRAIN)),
        Expected(f"seconds from 0 (no limit) to {values.MAX_DRAIN}"),
    ] = 60.0
    hang_timeout: Annotated[
        float,
        BeforeValidator(values.seconds_or_none(values.MIN_HANG, values.MAX_HANG)),
        Expected(f"seconds from {values.MIN_HANG} to {values.MAX_HANG}, or 0"),
    ] = 30.0
    start_timeout: Annotated[
        float,
        BeforeValidator(values.seconds_or_none(values.MIN_HANG, values.MAX_HANG)),
        Expected(f"seconds from {values.MIN_HANG} to {values.MAX_HANG}, or 0"),
    ] = 60.0


class Log(_Section):
    """The log."""

    level: Annotated[
        str,
        BeforeValidator(values.log_level),
        Expected(f"one of {', '.join(values.LOG_LEVELS)}, or a number from 0 to 7"),
    ] = "info"
    format: Annotated[
        str, BeforeValidator(values.choice("plain", "json")), Expected("plain or json")
    ] = "plain"
    to: Annotated[
        str, BeforeValidator(values.choice("stderr", "file")), Expected("stderr or file")
    ] = "stderr"
    file: Annotated[Path | None, BeforeValidator(values.folder), Expected("the path of a file")] = (
        None
    )
    slow_request: Annotated[
        float,
        BeforeValidator(values.seconds_or_none(values.MIN_SLOW, values.MAX_SLOW)),
        Expected(f"seconds from {values.MIN_SLOW} to {values.MAX_SLOW}, or 0"),
    ] = 0.5
    access: Annotated[
        float, BeforeValidator(values.share), Expected("a share of requests from 0 to 1, or off")
    ] = 0.0


class App(_Section):
    """The application."""

    file: Annotated[
        Path | None, BeforeValidator(values.lua_file), Expected("the path of an existing Lua file")
    ] = None


class Bounds(_Section):
    """Upper bounds on what a request may take."""

    request_time: Annotated[
        float,
        BeforeValidator(values.seconds(values.MAX_REQUEST_TIME)),
        Expected(f"seconds from 0 (no limit) to {values.MAX_REQUEST_TIME}"),
    ] = 10.0


class Lua(_Section):
    """The Lua runtime of a worker."""

    memory: Annotated[
        int,
        BeforeValidator(values.whole_or_none(values.MIN_LUA_MEMORY, values.MAX_LUA_MEMORY)),
        Expected(f"bytes from {values.MIN_LUA_MEMORY} to {values.MAX_LUA_MEMORY}, or 0"),
    ] = 2**31


class Security(_Section):
    """Logins and passwords."""

    auth_delay: Annotated[
        float,
        BeforeValidator(values.seconds(values.MAX_AUTH_DELAY)),
        Expected(f"seconds from 0 to {values.MAX_AUTH_DELAY}"),
    ] = 0.0
    auth_retries: Annotated[
        int,
        BeforeValidator(values.whole(0, values.MAX_RETRIES)),
        Expected(f"a number of failed logins from 0 to {values.MAX_RETRIES}"),
    ] = 0
    disable_guest: _Switch = False
    password_min_length: Annotated[
        int,
        BeforeValidator(values.whole(0, values.MAX_PASSWORD)),
        Expected(f"a number of characters from 0 to {values.MAX_PASSWORD}"),
    ] = 0
    password_enforce_uppercase: _Switch = False
    password_enforce_lowercase: _Switch = False
    password_enforce_digits: _Switch = False
    password_enforce_specialchars: _Switch = False
    keep_sessions_on_password_change: _Switch = False

    @property
    def rules(self) -> Rules:
        """Which passwords are good enough."""
        return Rules.of(self.model_dump())


class Compat(_Section):
    """Behaviour that differs between generations of Tarantool."""

    session_results: Annotated[
        str, BeforeValidator(values.choice("old", "new")), Expected("old or new")
    ] = "old"
    fiber_user: Annotated[
        str, BeforeValidator(values.choice("old", "new")), Expected("old or new")
    ] = "new"
    session_su: Annotated[
        str, BeforeValidator(values.choice("old", "new")), Expected("old or new")
    ] = "new"


class Developer(_Section):
    """Switches for those who work on beespace itself."""

    jit_log: _Switch = False
