"""``beespace stats``: figures of a server and all its processes, read without asking it.

    snapshot -- interval -- snapshot --> rates --> lines, or JSON

So the command works while the server hangs; totals hold what dead workers did.
:mod:`server.cli.command` puts it into the command line.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from server.cli import asking, repeating
from server.cli.operation import AsJson, Name, RunDir, show
from server.cli.sessions import Watch

if TYPE_CHECKING:
    from server.onlooker import Onlooker
    from server.rates import Rates
    from server.snapshot import Snapshot


def stats(
    interval: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            parser=repeating.seconds(0),
            help="How long to measure what happens each second; 0: not at all.",
        ),
    ] = 1.0,
    watch: Watch = False,
    run_dir: RunDir = None,
    name: Name = None,
    as_json: AsJson = False,
) -> None:
    """Show figures of a running server and of each of its processes, whatever it is doing."""
    from server.onlooker import Onlooker

    repeating.end_with_reader()
    with Onlooker(asking.folder(run_dir, name)) as server:
        gauge = _Gauge(server)
        time.sleep(interval)
        if watch:
            repeating.again(lambda: _shown(*gauge.read(), as_json=as_json), max(interval, 0.1))
        now, rates = gauge.read() if interval else (gauge.latest, None)
    if as_json:
        show(told(now, rates))
    else:
        repeating.once(_shown(now, rates, as_json=False))


class _Gauge:
    """Snapshots, each with what has happened since the one before."""

    def __init__(self, server: Onlooker) -> None:
        self._server = server
        self.latest = server.snapshot()

    def read(self) -> tuple[Snapshot, Rates | None]:
        """A snapshot, now."""
        from server import rates

        before, self.latest = self.latest, self._server.snapshot()
        return self.latest, rates.between(before, self.latest)


def told(now: Snapshot, rates: Rates | None) -> dict[str, Any]:
    """Everything for JSON; rates by the name of what is counted, null when nothing was measured."""
    per_row: Mapping[int, Any] = rates.workers if rates else {}
    per_pid: Mapping[int, Any] = rates.processes if rates else {}
    return {
        "time": round(now.time, 3),
        "seconds": round(rates.seconds, 3) if rates else None,
        "server": {**asdict(now.facts), **asdict(now.supervisor)},
        "totals": {
            **asdict(now.totals),
            "rates": _rounded(rates.totals if rates else None),
            "ended_rates": _rounded(rates.ended if rates else None),
        },
        "acceptor": {
            **asdict(now.acceptor),
            "rates": _rounded(rates.acceptor if rates else None),
        },
        "workers": [
            {**asdict(each), "rates": _rounded(per_row.get(each.row))} for each in now.workers
        ],
        "processes": [
            {
                **asdict(each),
                "rates": _rounded(vars(per_pid[each.pid]) if each.pid in per_pid else None),
            }
            for each in now.processes
        ],
    }


def _rounded(rates: Mapping[str, float] | None) -> dict[str, float] | None:
    return None if rates is None else {name: round(rate, 3) for name, rate in rates.items()}


def _shown(now: Snapshot, rates: Rates | None, *, as_json: bool) -> Sequence[str]:
    from server.cli import figures

    if as_json:
        return [json.dumps(told(now, rates), ensure_ascii=False)]
    return list(figures.lines(now, rates))
