"""How ``beespace stats`` shows a server to a person. Pure: a snapshot and rates in, lines out.

    head      who it is, how it fares
    table     one line a process: the system's figures beside those of the worker's row
    counts    everything that is counted, since the start and each second

Without rates there are no columns of them. Figures that this user may not know are ``-``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from server.cli.texts import NOTHING, number, size, span, table
from server.harmless import clean
from server.rates import ProcessRates, Rates
from server.snapshot import Acceptor, Process, Snapshot, Worker

_HEAD: Final = ("", "pid", "state", "CPU", "RSS", "USS", "threads", "fds", "switches/s")
_ROW: Final = ("sessions", "fibers", "Lua heap", "loop")
_RATES: Final = ("requests/s", "in/s", "out/s")
_RIGHT: Final = frozenset((*_HEAD, *_ROW, *_RATES)) - {"", "state"}
_TALKATIVE: Final = frozenset({"running", "sleeping", "idle"})
"""States of a process that say nothing about a child."""
_SILENCE: Final = 3.0
"""Seconds; a supervisor that has been silent for longer hangs."""
_SIZES: Final = frozenset({"bytes_in", "bytes_out"})
_KINDS: Final = frozenset({"pings", "calls", "evals", "selects", "auths", "others"})
"""Counters that are parts of the requests."""
_INNER: Final = frozenset(
    {
        "assigned",
        "freed",
        "reclaimed",
        "restarts",
        "jit_traces",
        "jit_aborts",
        "queued_ever",
        "streams_ever",
    }
)
"""Counters of rows that are no business of clients."""
_TURNED_AWAY: Final = {
    "refused": "refused: table full",
    "refused_address": "refused: address has enough",
    "accept_errors": "accept failed",
    "rate_waits": "waits for accept rate",
    "room_waits": "waits for descriptors",
    "proxy_untrusted": "closed: untrusted proxy",
    "proxy_malformed": "closed: wrong PROXY header",
    "proxy_late": "closed: late PROXY header",
}
"""What the acceptor counts besides sessions; shown when there is any."""


def lines(now: Snapshot, rates: Rates | None) -> Iterator[str]:
    """Everything."""
    yield from _head(now, rates)
    yield ""
    head = (*_HEAD, *_ROW, *(_RATES if rates else ()))
    yield from table([head, *_processes(now, rates)], _RIGHT)
    yield ""
    counts = [
        (title, total, *([each] if rates else [])) for title, total, each in _counts(now, rates)
    ]
    titles = ("", "total", *(["per second"] if rates else []))
    yield from table([titles, *counts], frozenset(titles) - {""})


def _head(now: Snapshot, rates: Rates | None) -> Iterator[str]:
    facts, supervisor = now.facts, now.supervisor
    silence = supervisor.silence or 0.0
    told = {
        "server": f"{facts.name}, {supervisor.phase}, process {facts.pid}, "
        f"up {span(max(now.time - facts.started, 0.0))}"
        + (f", silent for {span(silence)}" if silence > _SILENCE else ""),
        "sessions": f"{now.totals.sessions} of {facts.max_sessions}",
    }
    if rates is not None:
        told["measured"] = f"for {span(rates.seconds)}"
    for name, value in told.items():
        yield f"{name:<12} {value}"


def _processes(now: Snapshot, rates: Rates | None) -> Iterator[tuple[str, ...]]:
    workers = {worker.pid: worker for worker in now.workers if worker.pid}
    for process in now.processes:
        worker = workers.get(process.pid) if process.role == "worker" else None
        yield (
            *_figures(process, worker, now, rates),
            *_row(worker),
            *(_rates(worker, rates) if rates else ()),
        )
    found = {process.pid for process in now.processes}
    for worker in now.workers:
        if worker.pid not in found:
            columns = len(_HEAD) + len(_ROW) + (len(_RATES) if rates else 0)
            name = f"worker {worker.number}"
            yield (name, NOTHING, _fares(worker, "")) + (NOTHING,) * (columns - 3)


def _figures(
    process: Process, worker: Worker | None, now: Snapshot, rates: Rates | None
) -> tuple[str, ...]:
    figures = process.figures
    rate = rates.processes.get(process.pid) if rates else None
    child = now.acceptor if process.role == "acceptor" else worker
    state = figures.status if child is None else _fares(child, figures.status)
    return (
        clean(process.name)[:20],
        str(process.pid),
        state,
        _cpu(worker, rate),
        size(figures.rss),
        NOTHING if figures.uss is None else size(figures.uss),
        str(figures.threads),
        number(figures.fds),
        number(rate.voluntary + rate.involuntary if rate else None),
    )


def _fares(child: Worker | Acceptor, status: str) -> str:
    """What a child does, in the supervisor's words, and in the system's when these say more."""
    parts = [child.state]
    parts += [status] if status and status not in _TALKATIVE else []
    parts += ["dies again and again"] if child.storm else []
    return ", ".join(parts)


def _cpu(worker: Worker | None, rate: ProcessRates | None) -> str:
    if rate is not None:
        return f"{rate.cpu:.1f}%"
    return NOTHING if worker is None else f"{worker.cpu:.1f}%"


def _row(worker: Worker | None) -> tuple[str, ...]:
    if worker is None:
        return (NOTHING,) * len(_ROW)
    gauges = worker.gauges
    return (
        number(gauges["sessions"]),
        number(gauges["fibers"]),
        size(gauges["lua_heap"]),
        f"{worker.loop_time * 1000:.1f} ms",
    )


def _rates(worker: Worker | None, rates: Rates) -> tuple[str, ...]:
    found = rates.workers.get(worker.row) if worker else None
    if found is None:
        return (NOTHING,) * len(_RATES)
    return number(found["requests"]), size(found["bytes_in"]), size(found["bytes_out"])


def _counts(now: Snapshot, rates: Rates | None) -> Iterator[tuple[str, str, str]]:
    """Title, total and rate of everything that is counted for clients."""
    totals, acceptor = now.totals, now.acceptor.counters
    per = rates or Rates(1.0, {}, {}, {}, {}, {})
    for name, count in totals.counters.items():
        if name not in _INNER:
            yield _count(name, count, per.totals, ("  " if name in _KINDS else "") + _words(name))
    yield _count("claimed", acceptor["claimed"], per.acceptor, "sessions begun")
    ended = sum(totals.ended.values())
    yield _count("ended", ended, {"ended": sum(per.ended.values())}, "sessions ended")
    for name, count in totals.ended.items():
        if count:
            yield _count(name, count, per.ended, f"  {_words(name)}")
    for name, title in _TURNED_AWAY.items():
        if acceptor[name]:
            yield _count(name, acceptor[name], per.acceptor, title)


def _count(
    name: str, count: int, rates: Mapping[str, float], title: str | None = None
) -> tuple[str, str, str]:
    shown = size if name in _SIZES else number
    rate = rates.get(name)
    return title or _words(name), shown(count), NOTHING if rate is None else shown(rate)


def _words(name: str) -> str:
    return name.replace("_", " ")
