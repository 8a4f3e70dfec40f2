"""How a child is asked to end, what its end means, and how that reads in the log."""

from __future__ import annotations

import signal
import time
from typing import Any

from server.children import Child
from server.restart import Decision, History, decide
from shm.channel import ChannelClosedError
from shm.launch import ExitCode


def stop(child: Child) -> None:
    """Ask a child to end: by its channel, or by a signal when it does not listen yet."""
    try:
        child.control.send({"op": "stop"})
    except (ChannelClosedError, BlockingIOError):
        child.terminate()
    if not child.ready:
        child.terminate()


def orderly(was_ready: bool, code: int | None) -> bool:
    """Whether a child ended as somebody else asked it to, by SIGTERM."""
    return was_ready and code == ExitCode.STOPPED


def by_itself(code: int | None) -> bool:
    """Whether nobody outside ended a child, as far as its exit code tells."""
    return code is not None and code not in (-signal.SIGKILL, -signal.SIGTERM)


def after_end(history: History, child: Child, code: int | None) -> tuple[History, Decision]:
    """What a child's end means for its history, and when it is started again."""
    if orderly(child.ready, code):
        return history, decide(History())
    history = history.with_death(time.monotonic() - child.started, child.ready)
    return history, decide(history)


def without_process(history: History) -> tuple[History, Decision]:
    """The same when the system made no process."""
    history = history.with_death(0, was_ready=False)
    return history, decide(history)


def describe(code: int | None) -> str:
    """An exit code in words."""
    if code is None:
        return "exit code unknown"
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"


def reason(child: Child, code: int | None) -> str:
    """Why a child ended, as far as it is known here."""
    if not child.hung:
        return describe(code)
    return f"{'it hung' if child.ready else 'it took too long to start'}: {describe(code)}"


def told(decision: Decision) -> dict[str, Any]:
    """A decision as fields of a log line."""
    fields: dict[str, Any] = {"restart_in": f"{decision.delay:g}s"}
    return {**fields, "cause": "it dies again and again"} if decision.storm else fields
