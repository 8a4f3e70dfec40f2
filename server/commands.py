"""What the supervisor can be told to do: names, the functions behind them, and one line as JSON.

    {"command": "status", "arguments": {...}}  -->  {"ok": true, "answer": {...}}
                                                    {"ok": false, "error": "..."}

A function gets the arguments and returns the answer, or :class:`Later` when that takes a while.
What it raises as :class:`CommandError` is the error; anything else would be a bug and ends in the
log. :mod:`server.desk` has the socket, :mod:`server.supervisor` and its parts register functions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

Answer = Callable[[bytes], None]
"""Takes the line that goes back, once."""

_SHOWN: Final = 64
"""Characters of an unknown command's name that its error repeats."""


class CommandError(Exception):
    """Why a command is not obeyed, for the one who gave it."""


class Later:
    """An answer that comes when what was asked for is done."""

    def __init__(self) -> None:
        self._result: bytes | None = None
        self._answer: Answer | None = None

    def done(self, answer: Mapping[str, Any]) -> None:
        """It is done; only the first word counts."""
        self._say(_packed({"ok": True, "answer": dict(answer)}))

    def failed(self, reason: str) -> None:
        """It will not be done."""
        self._say(_packed({"ok": False, "error": reason}))

    def to(self, answer: Answer) -> None:
        """Where the result goes, now or when it is there."""
        self._answer = answer
        if self._result is not None:
            answer(self._result)

    def _say(self, result: bytes) -> None:
        if self._result is None:
            self._result = result
            if self._answer is not None:
                self._answer(result)


Function = Callable[[Mapping[str, Any]], Mapping[str, Any] | Later]


class Commands:
    """Functions by name."""

    def __init__(self, log: Any) -> None:
        self._log = log
        self._functions: dict[str, Function] = {}

    def add(self, name: str, function: Function) -> None:
        """Let ``function`` be called by this name, in place of an earlier one."""
        self._functions[name] = function

    def run(self, line: bytes, answer: Answer) -> None:
        """Do what a line says; ``answer`` gets the line that goes back, now or later."""
        later = Later()
        try:
            result = self._called(line)
            if isinstance(result, Later):
                later = result
            else:
                later.done(result)
        except CommandError as error:
            later.failed(str(error))
        except Exception as error:  # noqa: BLE001  the server and all sessions would go with it
            self._log.error("a command failed", command=line[:_SHOWN], error=repr(error))
            later.failed("the server could not do it: see its log")
        later.to(answer)

    def _called(self, line: bytes) -> Mapping[str, Any] | Later:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            request = None
        name = request.get("command") if isinstance(request, dict) else None
        arguments = request.get("arguments", {}) if isinstance(request, dict) else None
        if not isinstance(name, str) or not isinstance(arguments, dict):
            raise CommandError('expected a line {"command": NAME, "arguments": {...}}')
        function = self._functions.get(name)
        if function is None:
            known = ", ".join(sorted(self._functions))
            raise CommandError(f"no command {name[:_SHOWN]!r}, expected one of {known}")
        return function(arguments)


def refusal(reason: str) -> bytes:
    """The line for somebody who is not listened to at all."""
    return _packed({"ok": False, "error": reason})


def _packed(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, default=str).encode() + b"\n"
