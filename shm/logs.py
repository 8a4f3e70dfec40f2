"""One form of log lines for all processes (structlog).

plain:  2026-11-22 05:30:00.123 [4711] worker-0/42 I> text key=value
json:   {"time": ..., "level": ..., "message": ..., "pid": ..., "role": ..., "session": ...}

``role`` is supervisor, acceptor or worker-N; the number behind it is the session a line speaks of.
Lines go to standard error, each in one write, so lines of several processes do not mix.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import MutableMapping
from datetime import datetime
from typing import Any, Final

import structlog

from shm.launch import LogOrder

LEVELS: Final[dict[str, int]] = {
    "fatal": logging.CRITICAL,
    "crit": logging.CRITICAL,
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "verbose": logging.INFO - 5,
    "debug": logging.DEBUG,
}
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


class _Line:
    """A logger that writes each line with one system call."""

    def msg(self, message: str) -> None:
        data = (message + "\n").encode("utf-8", "replace")
        try:
            os.write(sys.stderr.fileno(), data)
        except (OSError, ValueError):
            return

    debug = verbose = info = warning = error = critical = msg


class _Form:
    """How this process logs now; loggers that were made before follow it."""

    order = LogOrder()
    role = "-"
    threshold = LEVELS["info"]


def configure(order: LogOrder, role: str) -> None:
    """Set up logging of this process, or change it."""
    _Form.order, _Form.role, _Form.threshold = order, role, LEVELS[order.level]
    structlog.configure(
        processors=[_line],
        wrapper_class=_Bound,
        logger_factory=lambda *_: _Line(),
        cache_logger_on_first_use=False,
    )


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
