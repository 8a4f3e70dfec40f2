"""Scenarios of the suite one after the other: what each found, and what could not be measured.

``bench.cli`` is the caller; ``bench.page`` makes a report of the result.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from bench import lua, report, targets
from bench.client import Client
from bench.outcome import Outcome, Promise, slopes
from bench.packets import AnswerError
from bench.rounds import Progress
from bench.suite.context import Context
from bench.suite.registry import Entry
from bench.targets import TargetError


@dataclass(frozen=True)
class Wanted:
    """What the command line asks for."""

    entries: Sequence[Entry]
    subject: str
    reference: str | None
    rounds: int
    seconds: float
    smoke: bool
    budget: float | None
    """Seconds for each scenario in place of its own."""


@dataclass(frozen=True)
class Result:
    """One scenario that was run, or why it was not."""

    entry: Entry
    outcome: Outcome | None
    seconds: float
    failure: str | None = None
    left_out: str | None = None


def run(wanted: Wanted, progress: Progress) -> Iterator[Result]:
    """Every scenario in turn; one that fails is a result, too."""
    client = cache(Client)
    for entry in wanted.entries:
        context = Context(
            wanted.subject,
            wanted.reference,
            wanted.rounds,
            wanted.seconds,
            wanted.smoke,
            entry.seconds if wanted.budget is None else wanted.budget,
            client,
            _prefixed(entry.name, progress),
        )
        if entry.own and not context.is_own:
            reason = f"starts servers of this checkout, {wanted.subject} is none"
            yield Result(entry, None, 0.0, left_out=reason)
            continue
        yield _one(entry, context)


def _one(entry: Entry, context: Context) -> Result:
    started = time.monotonic()
    try:
        outcome = entry.run(context)
    except (TargetError, AnswerError, OSError, lua.LuaError) as error:
        return Result(entry, None, time.monotonic() - started, failure=str(error))
    if context.smoke:
        # A smoke run measures too little for any promise.
        unknown = [replace(each, found=None) for each in outcome.promises]
        outcome = replace(outcome, promises=unknown)
    return Result(entry, outcome, time.monotonic() - started)


def _prefixed(name: str, progress: Progress) -> Callable[[str], None]:
    return lambda line: progress(f"{name}: {line}")


def show(result: Result) -> None:
    """Print what a scenario found, or why it was not measured."""
    print(f"== {result.entry.name}: {result.entry.about} ({result.seconds:.1f} s)")
    if result.outcome is None:
        print(f"not measured: {result.failure or result.left_out}\n")
        return
    growth = slopes(result.outcome.curves)
    for table in [*result.outcome.tables, *([] if growth is None else [growth])]:
        table.show()
        print()
    for note in result.outcome.notes:
        print(f"{note}\n")


def promises(results: Sequence[Result]) -> list[Promise]:
    """Those of all scenarios."""
    return [each for result in results if result.outcome for each in result.outcome.promises]


def document(wanted: Wanted, results: Sequence[Result]) -> dict[str, Any]:
    """Everything, for a program."""
    return {
        "machine": report.machine(),
        "versions": {
            name: targets.version(name)
            for name in (wanted.subject, wanted.reference)
            if name is not None
        },
        "subject": wanted.subject,
        "reference": wanted.reference,
        "rounds": wanted.rounds,
        "smoke": wanted.smoke,
        "scenarios": {each.entry.name: _plain(each) for each in results},
    }


def _plain(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = {"seconds": round(result.seconds, 1)}
    if result.outcome is None:
        return found | {"failure": result.failure, "left_out": result.left_out}
    return found | {
        **result.outcome.figures,
        "promises": [
            {
                "about": each.about,
                "bar": each.bar,
                "found": each.found,
                "text": each.text,
                "met": each.met,
                "client_bound": each.client_bound,
            }
            for each in result.outcome.promises
        ],
        "curves": [
            {
                "title": curve.title,
                "x": curve.x,
                "y": curve.y,
                "lines": [
                    {"name": line.name, "points": line.points, "slope": line.slope}
                    for line in curve.lines
                ],
            }
            for curve in result.outcome.curves
        ],
        "notes": list(result.outcome.notes),
    }
