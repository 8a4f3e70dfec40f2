"""One form of log lines for all processes (structlog).

plain:  2026-11-22 05:30:00.123 [4711] worker-0/42 I> text key=value
json:   {"time": ..., "level": ..., "message": ..., "pid": ..., "role": ..., "session": ...}

``role`` is supervisor, acceptor or worker-N; the number behind it is the session a line speaks of.
Lines go to standard error, or to a file that every process has open for itself, each in one write,
so lines of several processes do not mix. A program that rotates logs renames the file and lets all
processes :func:`reopen` it.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import MutableMapping
from datetime import datetime
from typing import Any, Final

from shm.launch import LogOrder

# structlog loads rich where that is installed, for a renderer that nobody here uses: a third of the
# time that a worker or an acceptor takes to start. For structlog it is not installed.
_rich = sys.modules.get("rich")
sys.modules["rich"] = None  # type: ignore[assignment]
try:
    import structlog
finally:
    del sys.modules["rich"]
    if _rich is not None:
        sys.modules["rich"] = _rich

LEVELS: Final[dict[str, int]] = {
    "fatal": logging.CRITICAL,
    "crit": logging.CRITICAL,
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "verbose": logging.INFO - 5,
    "debug": logging.DEBUG,
}
FILE_MODE: Final = 0o600
_CONTROLS: Final = (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)
_ESCAPES: Final = {code: repr(chr(code))[1:-1] for code in _CONTROLS}
"""What would end a line, or command a terminal, as it is written instead."""
_LETTERS: Final = {
    "critical": "C",
    "error": "E",
    "warning": "W",
    "info": "I",
    "verbose": "V",
    "debug": "D",
}


def _plain(_: Any, method: str, event: MutableMapping[str, Any]) -> str:
    now = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    session = event.pop("session", None)
    role = event.pop("role", "-")
    where = f"{role}/{session}" if session else role
    text = _one_line(str(event.pop("event", "")))
    rest = "".join(f" {key}={_one_line(str(value))}" for key, value in event.items())
    return f"{now} [{os.getpid()}] {where} {_LETTERS.get(method, '?')}> {text}{rest}"


def _one_line(text: str) -> str:
    return text.translate(_ESCAPES)


def _json(_: Any, method: str, event: MutableMapping[str, Any]) -> str:
    line: dict[str, Any] = {
        "time": datetime.now().astimezone().isoformat(timespec="milliseconds"),
        "level": method,
        "message": str(event.pop("event", "")),
        "pid": os.getpid(),
        "role": event.pop("role", "-"),
    }
    line.update(event)
    return json.dumps(line, default=str, ensure_ascii=False)


class _File:
    """The log file of this process, if it has one."""

    def __init__(self) -> None:
        self.path: str | None = None
        self._fd: int | None = None

    def use(self, path: str | None) -> None:
        """Write to this file from now on, None: to standard error; OSError leaves it as it was."""
        if path == self.path:
            return
        fd = None if path is None else _opened(path)
        if self._fd is not None:
            os.close(self._fd)
        self.path, self._fd = path, fd

    def reopen(self) -> None:
        """Take the file that has the name now; OSError leaves it as it was."""
        if self.path is None or self._fd is None:
            return
        fd = _opened(self.path)
        # In one step: another thread may be writing.
        os.dup2(fd, self._fd, inheritable=False)
        os.close(fd)

    def fileno(self) -> int:
        """Where lines go."""
        return sys.stderr.fileno() if self._fd is None else self._fd


_FILE: Final = _File()


def _opened(path: str) -> int:
    # Without O_NONBLOCK the open of a pipe would wait for a reader; files do not mind.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    return os.open(path, flags, FILE_MODE)


class _Line:
    """A logger that writes each line with one system call."""

    def msg(self, message: str) -> None:
        data = (message + "\n").encode("utf-8", "replace")
        try:
            os.write(_FILE.fileno(), data)
        except (OSError, ValueError):
            return

    debug = verbose = info = warning = error = critical = msg


class _Form:
    """How this process logs now; loggers that were made before follow it."""

    order = LogOrder()
    role = "-"
    threshold = LEVELS["info"]


def configure(order: LogOrder, role: str, *, must: bool = False) -> None:
    """Set up logging of this process, or change it.

    A file that cannot be opened is an OSError for who ``must`` have it. Others keep what they have,
    and say so there: a process that is needed does not end for its log.
    """
    _Form.order, _Form.role, _Form.threshold = order, role, LEVELS[order.level]
    structlog.configure(
        processors=[_line],
        wrapper_class=_Bound,
        logger_factory=lambda *_: _Line(),
        cache_logger_on_first_use=False,
    )
    try:
        _FILE.use(order.file)
    except OSError as error:
        if must:
            raise
        get().error("cannot open the log file", file=order.file, reason=error.strerror)


def reopen() -> None:
    """Open the log file anew, for its name may stand for another file now."""
    try:
        _FILE.reopen()
    except OSError as error:
        get().error("cannot reopen the log file", file=_FILE.path, reason=error.strerror)


def _line(logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
    event["role"] = _Form.role
    return (_plain if _Form.order.format == "plain" else _json)(logger, method, event)


class _Bound(structlog.BoundLoggerBase):
    def log(self, level: str, event: str, **fields: Any) -> None:
        """One line at a level of LEVELS by its name."""
        if LEVELS[level] >= _Form.threshold:
            self._proxy_to_logger(_METHODS[level], event, **fields)

    def debug(self, event: str, **fields: Any) -> None:
        self.log("debug", event, **fields)

    def verbose(self, event: str, **fields: Any) -> None:
        self.log("verbose", event, **fields)

    def info(self, event: str, **fields: Any) -> None:
        self.log("info", event, **fields)

    def warning(self, event: str, **fields: Any) -> None:
        self.log("warn", event, **fields)

    def error(self, event: str, **fields: Any) -> None:
        self.log("error", event, **fields)

    def critical(self, event: str, **fields: Any) -> None:
        self.log("crit", event, **fields)


_METHODS: Final = {
    "fatal": "critical",
    "crit": "critical",
    "error": "error",
    "warn": "warning",
    "info": "info",
    "verbose": "verbose",
    "debug": "debug",
}


def get(**context: Any) -> Any:
    """A logger that carries the given context; made after :func:`configure`."""
    return structlog.get_logger().bind(**context)
