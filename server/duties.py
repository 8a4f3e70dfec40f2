"""The commands that a server obeys, and what each of them answers.

    status                             server.status
    stop                               {pid, within: seconds that it may take}
    config                             {values: by key, as they are in force}
    reopen-logs                        {file: path, or None when the log has no file}
    reload, restart-workers, workers   server.changes; answered when the change is over
    kill, cancel                       server.endings; answered when it is done

:mod:`server.supervisor` puts them together, :mod:`server.desk` takes them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from server import inventory, status
from server.changes import Changes
from server.commands import CommandError, Commands, Later
from server.crew import Crew
from server.endings import Endings
from server.loop import Loop
from server.porter import Porter
from server.resources import Resources
from server.surveyor import Surveyor
from server.vigil import Vigil


@dataclass(frozen=True)
class Server:
    """The parts of a supervisor that commands need."""

    phase: Callable[[], str]
    version: str
    resources: Resources
    crew: Crew
    porter: Porter
    surveyor: Surveyor
    vigil: Vigil
    changes: Changes
    stop: Callable[[], float]
    """Begins the stop, if it has not begun; the seconds it may take."""


def commands(server: Server, loop: Loop, log: Any) -> Commands:
    """All of them."""
    made = Commands(log)
    made.add("status", lambda _: _status(server))
    made.add("stop", lambda _: {"pid": os.getpid(), "within": server.stop()})
    made.add("config", lambda _: {"values": inventory.shown(server.changes.settings)})
    made.add("reopen-logs", lambda _: _reopen_logs(server))
    made.add("reload", lambda _: _change(server, server.changes.reload))
    made.add("restart-workers", lambda _: _change(server, server.changes.restart_workers))
    made.add("workers", lambda arguments: _resize(server, arguments))
    endings = Endings(loop, server.resources.segment, log)
    made.add("kill", endings.kill)
    made.add("cancel", endings.cancel)
    return made


def _status(server: Server) -> Mapping[str, Any]:
    facts = status.Facts(
        server.changes.settings,
        server.version,
        server.phase(),
        server.resources,
        server.vigil.silence,
        server.porter,
        server.crew.posts(),
        server.surveyor,
    )
    return status.report(facts, os.getpid(), time.time(), time.monotonic())


def _reopen_logs(server: Server) -> Mapping[str, Any]:
    server.changes.reopen_logs()
    return {"file": server.changes.log_order.file}


def _resize(server: Server, arguments: Mapping[str, Any]) -> Later:
    by, to = arguments.get("by"), arguments.get("to")
    if to is None and _is_count(by) and by:
        return _change(server, lambda answer: server.changes.resize(int(by), answer))
    if by is None and _is_count(to) and to > 0:
        return _change(server, lambda answer: server.changes.resize_to(int(to), answer))
    raise CommandError('expected {"to": COUNT} or {"by": MORE}, below 0 for fewer')


def _is_count(value: Any) -> TypeGuard[int]:
    return type(value) is int


def _change(server: Server, begin: Callable[[Callable[[dict[str, Any]], None]], None]) -> Later:
    if (phase := server.phase()) != "running":
        raise CommandError(f"the server is not ready for that: it is {phase}")
    later = Later()

    def over(outcome: dict[str, Any]) -> None:
        facts = {key: value for key, value in outcome.items() if key not in ("ok", "error")}
        if outcome["ok"]:
            later.done(facts)
        else:
            later.failed(str(outcome["error"]))

    begin(over)
    return later
