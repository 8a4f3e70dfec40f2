"""Families under the names that Tarantool's metrics module has, so that its dashboards work. Pure.

What it counts by thread is counted by worker here: ``thread`` is the worker's number, and ``row``
tells apart an old worker that drains and the new one with the same number. Sums are over all rows
there ever were, so they never go back. Of what a server without a database has none there are
zeros where a dashboard asks for them: of memory, and of operations. ``lj_*`` and what else only
Tarantool's own LuaJIT knows is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client.metrics_core import Metric

from server.metrics.families import Families, Sample, by
from server.metrics.reading import Process, Reading
from server.snapshot import Worker

_OPERATIONS: Final = {
    "call": "calls",
    "eval": "evals",
    "select": "selects",
    "auth": "auths",
    "error": "errors",
}
_NEVER: Final = ("insert", "replace", "update", "upsert", "delete", "prepare", "execute")
"""Operations that this server does not have."""
_MILLI: Final = 1000


def families(made: Families, reading: Reading) -> Iterator[Metric]:
    """All of them."""
    yield from _instance(made, reading)
    yield from _network(made, reading)
    yield from _threads(made, reading)
    yield from _memory(made, reading)
    yield from _cpu(made, reading)


def _instance(made: Families, reading: Reading) -> Iterator[Metric]:
    shown = reading.shown
    uptime = max(shown.time - shown.facts.started, 0)
    yield made.gauge("tnt_info_uptime", "Seconds since the server started.", uptime)
    yield made.gauge("tnt_cfg_current_time", "Time of the server, epoch seconds.", shown.time)
    yield made.gauge("tnt_read_only", "Whether the instance is read-only: never.", 0)
    status = "ready" if shown.supervisor.phase == "running" else "startup_in_progress"
    yield made.gauge("tnt_config_status", "Status of the settings.", [({"status": status}, 1)])
    alerts = by("level", {"warn": 0, "error": 0})
    yield made.gauge("tnt_config_alerts", "Alerts of the settings: they are refused.", alerts)
    operations = {name: shown.totals.counters[field] for name, field in _OPERATIONS.items()}
    yield made.counter(
        "tnt_stats_op_total",
        "Requests answered, by operation.",
        by("operation", {**operations, **dict.fromkeys(_NEVER, 0)}),
    )
    fibers = shown.totals.gauges["fibers"]
    yield made.gauge("tnt_fiber_amount", "Fibers of all workers.", fibers)
    longest = max((worker.loop_time for worker in shown.workers), default=0.0)
    yield made.gauge(
        "tnt_ev_loop_time",
        "Longest recent turn of a worker's loop, milliseconds.",
        longest * _MILLI,
    )


def _network(made: Families, reading: Reading) -> Iterator[Metric]:
    totals = reading.shown.totals
    for each in _traffic("tnt_net", totals.counters, totals.gauges):
        name, about, value = each
        kind = made.counter if name.endswith("_total") else made.gauge
        yield kind(name, about, value)
    claimed = reading.shown.acceptor.counters["claimed"]
    yield made.counter("tnt_net_connections_total", "Connections that became sessions.", claimed)
    sessions = reading.sessions.sessions
    yield made.gauge("tnt_net_connections_current", "Sessions now.", sessions)


def _threads(made: Families, reading: Reading) -> Iterator[Metric]:
    workers = reading.shown.workers
    if not workers:
        return
    prefix = "tnt_net_per_thread"
    each = [_traffic(prefix, worker.counters, worker.gauges) for worker in workers]
    for column in zip(*each, strict=True):
        name, about, _ = column[0]
        kind = made.counter if name.endswith("_total") else made.gauge
        values = [value for _, _, value in column]
        yield kind(name, about, _by_thread(workers, values))
    assigned = [worker.counters["assigned"] for worker in workers]
    yield made.counter(
        f"{prefix}_connections_total",
        "Sessions given to the worker.",
        _by_thread(workers, assigned),
    )
    current = [worker.gauges["sessions"] for worker in workers]
    yield made.gauge(
        f"{prefix}_connections_current", "Sessions of the worker now.", _by_thread(workers, current)
    )


def _traffic(
    prefix: str, counters: Mapping[str, int], gauges: Mapping[str, int]
) -> list[tuple[str, str, int]]:
    """Name, meaning and value of what is told of the whole server, and of each worker."""
    requests = counters["requests"]
    waiting, queued = gauges["in_progress"], gauges["queued"]
    return [
        (f"{prefix}_sent_total", "Bytes sent to clients.", counters["bytes_out"]),
        (f"{prefix}_received_total", "Bytes received from clients.", counters["bytes_in"]),
        (f"{prefix}_requests_total", "Requests answered.", requests),
        (f"{prefix}_requests_current", "Requests not answered yet.", waiting + queued),
        (f"{prefix}_requests_in_progress_total", "Requests executed.", requests),
        (f"{prefix}_requests_in_progress_current", "Requests being executed that wait.", waiting),
        (
            f"{prefix}_requests_in_stream_queue_total",
            "Requests that had to wait for their stream.",
            counters["queued_ever"],
        ),
        (
            f"{prefix}_requests_in_stream_queue_current",
            "Requests that wait for their stream.",
            queued,
        ),
    ]


def _by_thread(workers: tuple[Worker, ...], values: list[int]) -> list[Sample]:
    return [
        ({"thread": str(worker.number), "row": str(worker.row)}, value)
        for worker, value in zip(workers, values, strict=True)
    ]


def _memory(made: Families, reading: Reading) -> Iterator[Metric]:
    rss = sum(process.figures.rss for process in reading.processes)
    virtual = sum(process.figures.virtual for process in reading.processes)
    yield made.gauge("tnt_memory", "Resident memory of all processes, bytes.", rss)
    yield made.gauge("tnt_memory_virt", "Virtual memory of all processes, bytes.", virtual)
    lua = reading.shown.totals.gauges["lua_heap"]
    waiting = reading.sessions.pending_out + reading.sessions.inbox_bytes
    kinds = {"lua": lua, "net": waiting, "cache": 0, "data": 0, "index": 0, "tx": 0}
    for kind, value in kinds.items():
        yield made.gauge(f"tnt_info_memory_{kind}", f"Memory for {kind}, bytes.", value)
    yield made.gauge("tnt_runtime_lua", "Memory of Lua in all workers, bytes.", lua)
    yield made.gauge("tnt_runtime_used", "Memory of Lua and of what waits, bytes.", lua + waiting)
    yield made.gauge("lj_gc_memory", "Memory of Lua in all workers, bytes.", lua)


def _cpu(made: Families, reading: Reading) -> Iterator[Metric]:
    """Of all processes, also those that have ended, whose times the supervisor has."""
    processes = reading.processes
    ended = [each.figures.ended for each in processes if each.role == "supervisor"]
    user = sum(each.figures.user for each in processes) + sum(own for own, _ in ended)
    system = sum(map(_system, processes)) + sum(kernel for _, kernel in ended)
    yield made.gauge("tnt_cpu_user_time", "CPU seconds in own code, all processes.", user)
    yield made.gauge("tnt_cpu_system_time", "CPU seconds in the system, all processes.", system)
    machine = reading.machine
    yield made.gauge("tnt_cpu_number", "CPUs of the machine.", machine.cpus)
    yield made.gauge(
        "tnt_cpu_time", "CPU time of the machine, clock ticks.", machine.seconds * machine.hertz
    )
    yield made.gauge(
        "tnt_cpu_thread",
        "CPU time of each process, clock ticks.",
        [sample for process in processes for sample in _by_kind(process, machine.hertz)],
    )


def _system(process: Process) -> float:
    return max(process.figures.cpu - process.figures.user, 0.0)


def _by_kind(process: Process, hertz: int) -> list[Sample]:
    name = process.role if process.worker is None else f"worker-{process.worker}"
    labels = {"thread_name": name, "thread_pid": str(process.pid), "file_name": "beespace"}
    return [
        ({**labels, "kind": "user"}, process.figures.user * hertz),
        ({**labels, "kind": "system"}, _system(process) * hertz),
    ]
