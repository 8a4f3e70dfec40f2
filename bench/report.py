"""How a run is shown: a plain table, or JSON for a program.

Called by ``bench.cli``. Every figure is made elsewhere, in ``bench.rounds``, ``bench.bars``,
``bench.idle`` and so on; here it only gets its unit and its place.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bench.bars import Figure, Role, Verdict
from bench.client import BUSY_CLIENT, NOISY_MACHINE
from bench.console import P99_BAR, BesideFigure, StatementFigure
from bench.idle import IdleFigure
from bench.listing import COUNT_BAR, PAGE, CountFigure, PageFigure
from bench.listing import P99_BAR as PAGES_BAR
from bench.messages import MessageFigure
from bench.rounds import Plan, Series
from bench.scrape import BAR as SCRAPE_BAR
from bench.scrape import ScrapeFigure, WorkersFigure
from bench.session import Endpoint
from bench.stats import ratio
from bench.table import Table

CLIENT_BOUND: Final = f"! client: busy {BUSY_CLIENT:.0%} of a core or more, it was the limit"


def throughput(groups: Sequence[Sequence[Series]]) -> Table:
    """One row a load and server; ratios are to the last server of a group."""
    rows = [
        _row(series, group[-1] if len(group) > 1 else None) for group in groups for series in group
    ]
    columns = ("load", "server", "requests/s", "spread", "ratio", "p50 us", "p99 us", "p99.9 us")
    every = [series for group in groups for series in group]
    notes = []
    if any(series.client_bound for series in every):
        notes.append(CLIENT_BOUND)
    if any(series.disturbed for series in every):
        notes.append(f"! others: used over {NOISY_MACHINE:.0%} of a core, not a quiet machine")
    return Table(
        "Throughput (medians)",
        (*columns, "max us", "server us/req", "client busy", "others"),
        tuple(rows),
        notes=tuple(notes),
    )


def _row(series: Series, base: Series | None) -> tuple[str, ...]:
    cost = series.server_cost
    against = "" if base is None or base is series else f"{ratio(series.rate, base.rate):.2f}x"
    return (
        str(series.load),
        series.target,
        f"{series.rate:,.0f}",
        f"{series.spread:.0%}",
        against,
        *(f"{series.quantile(share):,.0f}" for share in (0.5, 0.99, 0.999)),
        f"{series.latency.slowest:,.0f}",
        "-" if cost is None else f"{cost:.3f}",
        f"{series.client_share:.0%}" + ("!" if series.client_bound else ""),
        _share(series.other_share) + ("!" if series.disturbed else ""),
    )


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def bars(verdicts: Sequence[Verdict]) -> Table:
    """One row a bar."""
    rows = []
    for verdict in verdicts:
        bar = verdict.bar
        sign = "at least" if bar.figure is Figure.RATE else "at most"
        rows.append(
            (
                f"{bar.scenario} {bar.connections}x{bar.depth}",
                f"{bar.who} / {bar.than}",
                bar.figure.value,
                f"{sign} {bar.limit:.2f}x",
                "-" if verdict.ratio is None else f"{verdict.ratio:.2f}x",
                _outcome(verdict.met),
            )
        )
    return Table("Bars", ("load", "servers", "figure", "bar", "ratio", "outcome"), tuple(rows), 3)


def _outcome(met: bool | None) -> str:
    return "not measured" if met is None else "met" if met else "NOT MET"


def idle(figures: Sequence[IdleFigure], limit: float) -> Table:
    """One row a server."""
    rows = [
        (
            figure.target,
            f"{figure.sessions:,}",
            f"{figure.before / 1024:,.0f}",
            f"{figure.after / 1024:,.0f}",
            f"{figure.per_session:,.0f}",
            f"{figure.spread:.0%}",
        )
        for figure in figures
    ]
    columns = ("server", "sessions", "before KiB", "after KiB", "bytes/session", "spread")
    note = f"bar: at most {limit:g} bytes a session (all processes, kernel not counted)"
    return Table("Memory of idle sessions (medians)", columns, tuple(rows), 1, (note,))


def messages(figures: Sequence[MessageFigure]) -> Table:
    """One row a way of sending."""
    rows = []
    for figure in figures:
        bar, met = figure.bar
        rows.append(
            (
                f"{figure.rate:,}/s" if figure.rate else "as fast as possible",
                f"{figure.found_rate:,.0f}",
                f"{figure.p50:,.0f}",
                f"{figure.p99:,.0f}",
                bar,
                _outcome(met),
            )
        )
    columns = ("sent", "messages/s", "p50 us", "p99 us", "bar", "outcome")
    note = f"{figures[0].messages:,} a round, one worker to another, every one checked"
    return Table("Messages between sessions (medians)", columns, tuple(rows), 1, (note,))


def beside(figures: Sequence[BesideFigure]) -> Table:
    """One row a server and what its console does; the bar is the first server's."""
    rows = []
    for figure in figures:
        took = figure.answer_seconds
        rows.append(
            (
                figure.summary,
                figure.target,
                "" if took is None else f"{took * 1000:,.0f}",
                f"{figure.requests:,}",
                *(f"{micros / 1000:,.2f}" for micros in (figure.p50, figure.p99, figure.slowest)),
                _outcome(figure.met) if took and figure.target == figures[0].target else "",
            )
        )
    columns = ("a console that", "server", "answer ms", "requests")
    return Table(
        "Requests beside a console (medians)",
        (*columns, "p50 ms", "p99 ms", "max ms", "bar"),
        tuple(rows),
        notes=(f"bar: p99 at most {P99_BAR / 1000:g} ms while the console is busy",),
    )


def counts(figures: Sequence[CountFigure], sessions: int) -> Table:
    """One row a filter."""
    rows = [
        (
            f"count({figure.filter})",
            f"{figure.counted:,}",
            f"{figure.seconds * 1000:.2f}",
            _outcome(figure.met),
        )
        for figure in figures
    ]
    note = f"bar: at most {COUNT_BAR * 1000:g} ms"
    title = f"{sessions:,} sessions counted (medians)"
    return Table(title, ("box.session.", "counted", "ms", "bar"), tuple(rows), 1, (note,))


def pages(figures: Sequence[PageFigure]) -> Table:
    """One row without a list and one with."""
    rows = [
        (
            "nothing" if figure.pages is None else f"{figure.pages:,.0f} pages/s of {PAGE:,} rows",
            f"{figure.requests:,}",
            *(f"{micros / 1000:,.2f}" for micros in (figure.p50, figure.p99, figure.slowest)),
            "" if figure.pages is None else _outcome(figure.met),
        )
        for figure in figures
    ]
    columns = ("beside", "requests", "p50 ms", "p99 ms", "max ms", "bar")
    note = f"bar: p99 at most {PAGES_BAR / 1000:g} ms"
    title = "Requests while all sessions are listed (medians)"
    return Table(title, columns, tuple(rows), 1, (note,))


def scrapes(figures: Sequence[ScrapeFigure], sessions: int) -> Table:
    """One row a text."""
    rows = [
        (
            figure.kind,
            f"{figure.scrapes:,}",
            f"{figure.size / 1024:,.0f}",
            *(f"{each * 1000:,.1f}" for each in (figure.middle, figure.slowest, figure.cpu)),
            _outcome(figure.met),
        )
        for figure in figures
    ]
    columns = ("text", "scrapes", "KiB", "median ms", "max ms", "CPU ms", "bar")
    note = f"bar: median at most {SCRAPE_BAR * 1000:g} ms; CPU of the process of metrics"
    return Table(f"Metrics of {sessions:,} sessions", columns, tuple(rows), 1, (note,))


def scraped_workers(figure: WorkersFigure) -> Table:
    """One row while nobody asks, and one while somebody does."""
    rows = (
        ("nobody", f"{figure.quiet:.1f} %"),
        (f"one client, {figure.scrapes:,} texts made", f"{figure.asked:.1f} %"),
    )
    return Table("CPU of all workers (medians)", ("who asks for metrics", "of one core"), rows, 1)


def statements(figures: Sequence[StatementFigure]) -> Table:
    """One row a server and depth; ratios are to the last server."""
    last = {figure.depth: figure for figure in figures}
    rows = []
    for figure in figures:
        base, cpu = last[figure.depth], figure.cpu_seconds
        rows.append(
            (
                figure.target,
                str(figure.depth),
                f"{figure.rate:,.0f}",
                "" if base is figure else f"{ratio(figure.rate, base.rate):.2f}x",
                f"{1e6 / figure.rate:,.1f}",
                "-" if cpu is None else f"{cpu * 1e6 / figure.statements:,.1f}",
            )
        )
    columns = ("server", "at a time", "statements/s", "ratio", "us each", "server us each")
    return Table("Small statements over a console (medians)", columns, tuple(rows), 1)


def servers(endpoints: Sequence[Endpoint]) -> Table:
    """What was measured."""
    rows = tuple((each.name, str(each.address), each.version) for each in endpoints)
    return Table("Servers", ("server", "address", "greeting"), rows, 3)


def machine() -> dict[str, Any]:
    """Where and when, for the JSON report."""
    model = platform.processor() or "unknown"
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpus": len(os.sched_getaffinity(0)),
        "cpu": model,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average": os.getloadavg()[0],
    }


def as_json(series: Series) -> dict[str, Any]:
    """One series with all its rounds."""
    return {
        "scenario": series.load.scenario.name,
        "connections": series.load.connections,
        "depth": series.load.depth,
        "target": series.target,
        "rate": series.rate,
        "spread": series.spread,
        "p50_us": series.quantile(0.5),
        "p99_us": series.quantile(0.99),
        "p999_us": series.quantile(0.999),
        "max_us": series.latency.slowest,
        "server_us_per_request": series.server_cost,
        "client_us_per_request": series.client_cost,
        "client_share": series.client_share,
        "client_bound": series.client_bound,
        "other_share": series.other_share,
        "rounds": [
            {
                "requests": each.requests,
                "seconds": each.seconds,
                "client_cpu": each.client_cpu,
                "server_cpu": each.server_cpu,
                "machine_cpu": each.machine_cpu,
                "p50_us": each.latency.quantile(0.5),
                "p99_us": each.latency.quantile(0.99),
            }
            for each in series.rounds
        ],
    }


def document(
    plan: Plan,
    endpoints: Mapping[Role, Endpoint] | Mapping[str, Endpoint],
    series: Sequence[Series],
) -> dict[str, Any]:
    """The JSON report of a throughput run."""
    return {
        "machine": machine(),
        "plan": {"rounds": plan.rounds, "seconds": plan.seconds, "warmup": plan.warmup},
        "servers": {
            str(role): {"name": each.name, "greeting": each.version}
            for role, each in endpoints.items()
        },
        "series": [as_json(each) for each in series],
    }


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """One bar."""
    bar = verdict.bar
    return {
        "load": f"{bar.scenario} {bar.connections}x{bar.depth}",
        "who": bar.who.value,
        "than": bar.than.value,
        "figure": bar.figure.value,
        "limit": bar.limit,
        "ratio": verdict.ratio,
        "met": verdict.met,
    }
