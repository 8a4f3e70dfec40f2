"""Whether a server lives, and whether it is ready for clients. Pure: a snapshot in, a verdict out.

    live     the supervisor's loop turns
    ready    the server runs, its acceptor and all workers that are meant to serve are ready, and
             their loops turn

An old worker that drains after a reload is no reason: the new ones have its place. Answered by
:mod:`server.metrics.pages` for /livez and /readyz.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from server.snapshot import Acceptor, Snapshot, Worker

LIVES: Final = 10.0
"""Seconds that the supervisor's loop may be silent. Twice a second it turns, unless it waits for
the catalog, which takes 5 seconds at most."""
TURNS: Final = 5.0
"""Seconds that the loop of another process may be silent; idle ones turn every second."""
RUNNING: Final = "running"
READY: Final = "ready"

_STARTS: Final = {"booting": "the server starts", "filling": "the server starts its workers"}

Silences = Mapping[int, float]
"""Seconds since the loop of a process turned, by process id."""


@dataclass(frozen=True)
class Verdict:
    """What is answered: whether all is well, and the details, which JSON can hold."""

    passed: bool
    details: Mapping[str, Any]


def live(shown: Snapshot) -> Verdict:
    """Whether the supervisor's loop turns."""
    silence = shown.supervisor.silence or 0.0
    reason = None if silence <= LIVES else f"its loop has not turned for {silence:.0f} s"
    checks = {"supervisor": reason}
    return _verdict(checks, "ok", "failed", {"silent": round(silence, 3), "pid": shown.facts.pid})


def ready(shown: Snapshot, silences: Silences) -> Verdict:
    """Whether clients are served as they should be."""
    serving = [worker for worker in shown.workers if worker.on_duty]
    faults = [fault for worker in serving for fault in _of_worker(worker, silences)]
    checks = {
        "server": _of_server(shown),
        "acceptor": next(_of_acceptor(shown.acceptor, silences), None),
        "workers": "; ".join(faults) or None,
    }
    details = {
        "phase": shown.supervisor.phase,
        "sessions": shown.totals.sessions,
        "acceptor": _told(shown.acceptor, silences),
        "workers": [
            {"number": worker.number, "on_duty": worker.on_duty, **_told(worker, silences)}
            for worker in shown.workers
        ],
    }
    return _verdict(checks, READY, "not_ready", details)


def _of_server(shown: Snapshot) -> str | None:
    phase = shown.supervisor.phase
    if phase == RUNNING:
        return None
    left = shown.totals.sessions
    return _STARTS.get(phase, f"the server stops, {left} sessions are left")


def _of_acceptor(acceptor: Acceptor, silences: Silences) -> Iterator[str]:
    if acceptor.state != READY:
        yield f"the acceptor is {acceptor.state}{_again(acceptor)}"
    elif (silence := _silence(acceptor, silences)) > TURNS:
        yield f"the acceptor's loop has not turned for {silence:.0f} s"


def _of_worker(worker: Worker, silences: Silences) -> Iterator[str]:
    if worker.state != READY:
        yield f"worker {worker.number} is {worker.state}{_again(worker)}"
    elif (silence := _silence(worker, silences)) > TURNS:
        yield f"the loop of worker {worker.number} has not turned for {silence:.0f} s"


def _again(child: Acceptor | Worker) -> str:
    return ", it dies again and again" if child.storm else ""


def _silence(child: Acceptor | Worker, silences: Silences) -> float:
    return 0.0 if child.pid is None else silences.get(child.pid, 0.0)


def _told(child: Acceptor | Worker, silences: Silences) -> dict[str, Any]:
    silence = None if child.pid is None else round(_silence(child, silences), 3)
    return {"pid": child.pid, "state": child.state, "silent": silence, "storm": child.storm}


def _verdict(
    reasons: Mapping[str, str | None], good: str, bad: str, details: Mapping[str, Any]
) -> Verdict:
    passed = not any(reasons.values())
    checks = {
        name: {"status": "ok"} if reason is None else {"status": "failed", "reason": reason}
        for name, reason in reasons.items()
    }
    told = {"verdict": good if passed else bad, "checks": checks, **details}
    return Verdict(passed, told)
