"""Families of our own: what the table, the workers and the processes of a server tell. Pure.

Totals hold what workers did that are no more. What is told of single workers (``worker``, the
number people see, and ``row``, the place in the table, which no two workers have at a time) is told
of those that have a process or are meant to have one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client.metrics_core import Metric

from server.metrics import health
from server.metrics.families import Families, Sample, by
from server.metrics.reading import Process, Reading
from server.snapshot import Worker
from shm.states import Phase, WorkerState

MOST_USERS: Final = 100
"""Users that are named; the sessions of all others are those of the user without a name."""

REQUESTS: Final = {
    "ping": "pings",
    "call": "calls",
    "eval": "evals",
    "select": "selects",
    "auth": "auths",
    "other": "others",
}
REFUSALS: Final = {
    "table_full": "refused",
    "address_limit": "refused_address",
    "proxy_untrusted": "proxy_untrusted",
    "proxy_malformed": "proxy_malformed",
    "proxy_late": "proxy_late",
}
WAITS: Final = {"accept_rate": "rate_waits", "descriptors": "room_waits"}
LOGINS: Final = {"wrong": "wrong_logins", "delayed": "refused_logins"}


def families(made: Families, reading: Reading, silences: health.Silences) -> Iterator[Metric]:
    """All of them; ``silences`` as for :func:`server.metrics.health.ready`."""
    yield from _server(made, reading, silences)
    yield from _sessions(made, reading)
    yield from _connections(made, reading)
    yield from _requests(made, reading)
    yield from _workers(made, reading)
    yield from _processes(made, reading)


def _server(made: Families, reading: Reading, silences: health.Silences) -> Iterator[Metric]:
    shown = reading.shown
    supervisor, acceptor = shown.supervisor, shown.acceptor
    yield made.gauge(
        "beespace_build_info", "Version of the server.", [({"version": reading.version}, 1)]
    )
    yield made.gauge(
        "beespace_start_time_seconds", "Start of the server, epoch seconds.", shown.facts.started
    )
    phases = {each.name.lower(): float(each.name.lower() == supervisor.phase) for each in Phase}
    yield made.gauge("beespace_phase", "1 for what the server is doing.", by("phase", phases))
    ready = health.ready(shown, silences).passed
    yield made.gauge("beespace_ready", "1 when /readyz says so.", float(ready))
    yield made.gauge(
        "beespace_supervisor_silence_seconds",
        "How long the supervisor's loop has not turned; twice a second it does.",
        supervisor.silence or 0.0,
    )
    states = Counter(worker.state for worker in shown.workers)
    names = [each.name.lower() for each in WorkerState]
    yield made.gauge(
        "beespace_workers",
        "Workers by their state.",
        by("state", {name: states[name] for name in names}),
    )
    yield made.gauge(
        "beespace_acceptor_up", "1 when the acceptor can accept.", float(acceptor.state == "ready")
    )
    yield made.counter(
        "beespace_acceptor_restarts_total", "Acceptors after the first.", acceptor.restarts
    )
    yield made.counter(
        "beespace_acceptor_turns_total", "Turns of the acceptor's loop.", acceptor.turns
    )
    yield made.counter(
        "beespace_metrics_restarts_total",
        "Processes of metrics after the first.",
        supervisor.metrics_restarts,
    )


def _sessions(made: Families, reading: Reading) -> Iterator[Metric]:
    shown, sessions = reading.shown, reading.sessions
    kinds: Counter[tuple[str, str, str]] = Counter()
    for kind, count in sessions.kinds.items():
        listener = reading.listeners.get(kind.listener, "")
        kinds[kind.state.name.lower(), kind.type.name.lower(), listener] += count
    yield made.gauge(
        "beespace_sessions",
        "Sessions in the table.",
        [
            ({"state": state, "type": type_, "listener": listener}, count)
            for (state, type_, listener), count in sorted(kinds.items())
        ],
    )
    yield made.gauge(
        "beespace_user_sessions",
        f"Sessions by user, of the {MOST_USERS} who have most; those of others have no name.",
        by("user", _users(reading)),
    )
    yield made.gauge(
        "beespace_sessions_limit",
        "Sessions that clients may have: session.limits.total.",
        shown.facts.max_sessions,
    )
    yield made.counter(
        "beespace_sessions_ended_total",
        "Sessions that ended, by reason.",
        by("reason", shown.totals.ended),
    )
    yield made.gauge(
        "beespace_output_pending_bytes", "Bytes that wait to be sent.", sessions.pending_out
    )
    yield made.gauge(
        "beespace_inbox_bytes", "Bytes of messages not received yet.", sessions.inbox_bytes
    )


def _users(reading: Reading) -> dict[str, int]:
    most = Counter(reading.sessions.users).most_common()
    found: Counter[str] = Counter()
    for place, (uid, count) in enumerate(most):
        found[reading.users.get(uid, "") if place < MOST_USERS else ""] += count
    return found


def _connections(made: Families, reading: Reading) -> Iterator[Metric]:
    counters = reading.shown.acceptor.counters
    yield made.counter(
        "beespace_sessions_claimed_total",
        "Connections that got an id and a place in the table.",
        counters["claimed"],
    )
    yield made.counter(
        "beespace_sessions_released_total",
        "Those of them that could not be given to a worker.",
        counters["released"],
    )
    yield made.counter(
        "beespace_connections_refused_total",
        "Connections that got no session, by reason.",
        by("reason", {reason: counters[field] for reason, field in REFUSALS.items()}),
    )
    yield made.counter(
        "beespace_accept_errors_total", "Connections that failed early.", counters["accept_errors"]
    )
    yield made.counter(
        "beespace_accept_waits_total",
        "Times that accepting waited, by reason.",
        by("reason", {reason: counters[field] for reason, field in WAITS.items()}),
    )


def _requests(made: Families, reading: Reading) -> Iterator[Metric]:
    counters = reading.shown.totals.counters
    yield made.counter(
        "beespace_requests_total",
        "Requests answered, by type.",
        by("type", {kind: counters[field] for kind, field in REQUESTS.items()}),
    )
    yield made.counter(
        "beespace_request_errors_total", "Requests answered with an error.", counters["errors"]
    )
    yield made.counter(
        "beespace_slow_requests_total", "Requests above log.slow_request.", counters["slow"]
    )
    yield made.counter(
        "beespace_protocol_errors_total",
        "Packets that could not be read.",
        counters["protocol_errors"],
    )
    yield made.counter(
        "beespace_received_bytes_total", "Bytes received from clients.", counters["bytes_in"]
    )
    yield made.counter("beespace_sent_bytes_total", "Bytes sent to clients.", counters["bytes_out"])
    yield made.counter(
        "beespace_login_failures_total",
        "Logins that failed, by reason.",
        by("reason", {reason: counters[field] for reason, field in LOGINS.items()}),
    )


_OF_WORKER: Final[tuple[tuple[str, str, Callable[[Worker], float]], ...]] = (
    ("up", "1 when the worker can serve.", lambda it: float(it.state in ("ready", "draining"))),
    ("start_time_seconds", "Start of its process, epoch seconds.", lambda it: it.started),
    ("sessions", "Sessions that it has.", lambda it: it.gauges["sessions"]),
    ("requests_in_progress", "Requests that wait.", lambda it: it.gauges["in_progress"]),
    ("requests_queued", "Requests that wait for their stream.", lambda it: it.gauges["queued"]),
    ("streams", "Streams that have requests.", lambda it: it.gauges["streams"]),
    ("loop_time_seconds", "Longest recent turn of its loop.", lambda it: it.loop_time),
    ("lua_heap_bytes", "Memory of Lua.", lambda it: it.gauges["lua_heap"]),
    ("fibers", "Fibers alive.", lambda it: it.gauges["fibers"]),
    ("restarts_total", "Processes after the first.", lambda it: it.counters["restarts"]),
    ("assigned_sessions_total", "Sessions given to it.", lambda it: it.counters["assigned"]),
    ("requests_total", "Requests answered.", lambda it: it.counters["requests"]),
    ("request_errors_total", "Requests that failed.", lambda it: it.counters["errors"]),
    ("slow_requests_total", "Requests above log.slow_request.", lambda it: it.counters["slow"]),
    ("received_bytes_total", "Bytes received from clients.", lambda it: it.counters["bytes_in"]),
    ("sent_bytes_total", "Bytes sent to clients.", lambda it: it.counters["bytes_out"]),
    ("turns_total", "Turns of its loop.", lambda it: it.beat),
    ("jit_traces_total", "Traces compiled.", lambda it: it.counters["jit_traces"]),
    ("jit_aborts_total", "Traces given up.", lambda it: it.counters["jit_aborts"]),
)


def _workers(made: Families, reading: Reading) -> Iterator[Metric]:
    workers = reading.shown.workers
    for ending, about, value in _OF_WORKER:
        samples: list[Sample] = [
            ({"worker": str(worker.number), "row": str(worker.row)}, value(worker))
            for worker in workers
        ]
        yield _kind(made, ending)(f"beespace_worker_{ending}", about, samples)


_OF_PROCESS: Final[tuple[tuple[str, str, Callable[[Process], float]], ...]] = (
    ("resident_memory_bytes", "Memory that it has, shared included.", lambda it: it.figures.rss),
    ("virtual_memory_bytes", "Addresses in use.", lambda it: it.figures.virtual),
    ("threads", "Threads.", lambda it: it.figures.threads),
    ("open_fds", "Open descriptors.", lambda it: it.figures.fds or 0),
)


def _processes(made: Families, reading: Reading) -> Iterator[Metric]:
    processes = reading.processes
    for ending, about, value in _OF_PROCESS:
        samples = [(_labels(process), value(process)) for process in processes]
        yield made.gauge(f"beespace_process_{ending}", about, samples)
    yield made.counter(
        "beespace_process_cpu_seconds_total",
        "CPU time used.",
        _modes(
            processes,
            "mode",
            {
                "user": lambda it: it.figures.user,
                "system": lambda it: max(it.figures.cpu - it.figures.user, 0.0),
            },
        ),
    )
    yield made.counter(
        "beespace_process_context_switches_total",
        "Times that it stopped running: because it waited, or its time was over.",
        _modes(
            processes,
            "kind",
            {
                "voluntary": lambda it: it.figures.voluntary,
                "involuntary": lambda it: it.figures.involuntary,
            },
        ),
    )


def _labels(process: Process) -> dict[str, str]:
    """A label that is empty is as good as none."""
    worker = "" if process.worker is None else str(process.worker)
    row = "" if process.row is None else str(process.row)
    return {"process": process.role, "worker": worker, "row": row}


def _modes(
    processes: Iterable[Process], label: str, values: dict[str, Callable[[Process], float]]
) -> list[Sample]:
    return [
        ({**_labels(process), label: mode}, value(process))
        for process in processes
        for mode, value in values.items()
    ]


def _kind(made: Families, name: str) -> Callable[[str, str, Iterable[Sample]], Metric]:
    return made.counter if name.endswith("_total") else made.gauge
