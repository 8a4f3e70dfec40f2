"""``python -m bench``: the commands, and nothing else.

Each command reads its options, starts what ``bench.targets`` describes, and prints what
``bench.report`` makes of the figures. Exit code 0 when the run went through, 1 when a server failed
or, with ``--assert``, a bar was missed or not measured, 2 for options.
"""

from __future__ import annotations

import signal
import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from bench import (
    console,
    grid,
    idle,
    listing,
    messages,
    outcome,
    output,
    page,
    profile,
    progress,
    report,
    targets,
)
from bench import run as suite
from bench.bars import BARS, Role
from bench.client import MOST_CONNECTIONS, MOST_DEPTH, MOST_SECONDS, Client, Load
from bench.holder import MOST_FILES, raise_limit
from bench.rounds import LEAST_ROUNDS, Plan, Series, ceiling, take_turns
from bench.run import Wanted
from bench.scenarios import SCENARIOS
from bench.session import Endpoint
from bench.suite.context import OWN
from bench.suite.registry import SUITE, Entry
from bench.targets import Kind, TargetError

app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__
)

Rounds = Annotated[
    int, typer.Option(min=LEAST_ROUNDS, max=1000, help="Rounds for each server and load.")
]
Seconds = Annotated[
    float, typer.Option(min=0.05, max=MOST_SECONDS, help="Counted seconds of a round.")
]
Warmup = Annotated[
    float, typer.Option(min=0, max=MOST_SECONDS, help="Seconds of traffic before counting.")
]
JsonFile = Annotated[
    Path | None,
    typer.Option("--json", callback=output.file, help="Write the figures to this file."),
]
Subject = Annotated[str, typer.Option(help="The server that is judged.")]
Reference = Annotated[str, typer.Option(help="The server it is compared with.")]
Strict = Annotated[bool, typer.Option("--assert", help="Exit with 1 when a bar is not met.")]


@app.command("run")
def run_command(
    scenarios: Annotated[
        list[str], typer.Argument(metavar="SCENARIO...", help=f"all, or of {', '.join(SUITE)}.")
    ],
    target: Annotated[
        str, typer.Option(help="The server that is judged: beespace[:WORKERS] or a URI.")
    ] = "beespace:2",
    reference: Annotated[
        str, typer.Option(help="The server it is compared with: tarantool, a URI, or none.")
    ] = "tarantool",
    rounds: Rounds = 5,
    seconds: Seconds = 1.0,
    budget: Annotated[
        float | None,
        typer.Option(min=0, help="Seconds a scenario may take before rounds are left out."),
    ] = None,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="Only show that everything works: seconds, no bars.")
    ] = False,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="DIR",
            callback=output.folder,
            help="Write a report into this folder.",
        ),
    ] = None,
    json_file: JsonFile = None,
    strict: Strict = False,
) -> None:
    """Run scenarios of the suite, and say which promises were kept."""
    entries, other = _entries(scenarios), _reference(reference)
    names = [kind.name for kind in _kinds([target, *([] if other is None else [other])])]
    wanted = Wanted(entries, names[0], names[1] if other else None, rounds, seconds, smoke, budget)
    found = []
    with progress.shown() as told:
        for result in suite.run(wanted, told):
            told("")
            suite.show(result)
            found.append(result)
    promises = suite.promises(found)
    if promises:
        outcome.promises(promises).show()
    document = suite.document(wanted, found)
    output.write(json_file, document)
    if folder is not None:
        page.write(folder, f"python -m bench run {' '.join(scenarios)}", document, found)
        print(f"report: {folder / 'report.html'}")
    if any(each.failure for each in found) or (strict and not all(p.met for p in promises)):
        raise typer.Exit(1)


def _entries(names: list[str]) -> list[Entry]:
    for name in names:
        if name != "all" and name not in SUITE:
            raise typer.BadParameter(
                f"scenario {name!r}: expected all or one of {', '.join(SUITE)}"
            )
    return [each for each in SUITE.values() if each.name in names or "all" in names]


def _reference(name: str) -> str | None:
    """None when there shall be none, or it is the one of the start and not installed."""
    if name == "none":
        return None
    if name == "tarantool" and targets.find_tarantool() is None:
        print("tarantool is not installed: its comparisons are left out", file=sys.stderr)
        return None
    return name


@app.command()
def load(
    scenarios: Annotated[
        list[str], typer.Argument(metavar="KIND...", help=f"Of {', '.join(SCENARIOS)}.")
    ],
    conns: Annotated[int, typer.Option(min=1, max=MOST_CONNECTIONS, help="Connections.")] = 8,
    depth: Annotated[
        int, typer.Option(min=1, max=MOST_DEPTH, help="Requests on the way on each.")
    ] = 128,
    target: Annotated[
        list[str] | None,
        typer.Option(help="beespace[:WORKERS], tarantool, echo or a URI; may be repeated."),
    ] = None,
    rounds: Rounds = 3,
    seconds: Seconds = 1.5,
    warmup: Warmup = 0.5,
    json_file: JsonFile = None,
) -> None:
    """Measure kinds of requests at one load; ratios are to the last target."""
    for name in scenarios:
        if name not in SCENARIOS:
            raise typer.BadParameter(f"kind {name!r}: expected one of {', '.join(SCENARIOS)}")
    names = target or ["beespace"]
    with_echo = "echo" in names
    kinds = _kinds([name for name in names if name != "echo"])
    if not kinds:
        raise typer.BadParameter("target 'echo': needs another target to learn the answers from")
    plan, client = Plan(rounds, seconds, warmup), Client()
    groups: list[list[Series]] = []
    with ExitStack() as stack:
        endpoints = [stack.enter_context(kind.start()) for kind in kinds]
        for name in scenarios:
            load = Load(SCENARIOS[name], conns, depth)
            groups.append(_turns(client, load, endpoints, plan, with_echo=with_echo))
    report.servers(endpoints).show()
    report.throughput(groups).show()
    flat = [series for group in groups for series in group]
    output.write(json_file, report.document(plan, {each.name: each for each in endpoints}, flat))


def _turns(
    client: Client, load: Load, endpoints: list[Endpoint], plan: Plan, *, with_echo: bool
) -> list[Series]:
    if not with_echo:
        return take_turns(client, load, endpoints, plan, _progress)
    with ceiling(client, load, endpoints[0]) as echo:
        return take_turns(client, load, [*endpoints, echo], plan, _progress)


@app.command("profile")
def profile_command(
    scenario: Annotated[
        str, typer.Argument(metavar="SCENARIO", help=f"Of {', '.join(profile.names())}.")
    ],
    target: Annotated[str, typer.Option(help="beespace[:WORKERS].")] = "beespace:2",
    seconds: Annotated[
        float, typer.Option(min=0.5, max=MOST_SECONDS, help="For each of the profilers.")
    ] = 5.0,
) -> None:
    """Where the time goes: LuaJIT's profiler, py-spy for the acceptor, perf where it works."""
    if scenario not in profile.names():
        expected = ", ".join(profile.names())
        raise typer.BadParameter(f"scenario {scenario!r}: expected one of {expected}")
    if target.partition(":")[0] != OWN:
        raise typer.BadParameter(f"target {target!r}: expected beespace[:WORKERS]")
    with progress.shown() as told, _kinds([target])[0].start() as endpoint:
        found = profile.measure(endpoint, scenario, seconds, told)
    for table in found.tables:
        table.show()
        print()
    for note in found.notes:
        print(note)


@app.command()
def compare(
    subject: Subject = "beespace:2",
    single: Annotated[str, typer.Option(help="The subject with one worker.")] = "beespace:1",
    reference: Reference = "tarantool",
    rounds: Rounds = 5,
    seconds: Seconds = 1.5,
    warmup: Warmup = 0.5,
    json_file: JsonFile = None,
    strict: Strict = False,
) -> None:
    """The grid of loads that has bars, and whether they are met."""
    kinds = dict(zip((Role.SUBJECT, Role.SINGLE), _kinds([subject, single]), strict=True))
    if reference != "tarantool" or targets.find_tarantool() is not None:
        kinds[Role.REFERENCE] = _kinds([reference])[0]
    else:
        _progress("tarantool is not installed: its comparisons are left out")
    plan = Plan(rounds, seconds, warmup)
    found = grid.compare(Client(), kinds, BARS, plan, _progress)
    report.servers(list(found.endpoints.values())).show()
    report.throughput([[series for _, series in group] for group in found.groups]).show()
    report.bars(found.verdicts).show()
    document = report.document(
        plan, found.endpoints, [series for group in found.groups for _, series in group]
    )
    document["bars"] = [report.verdict_json(verdict) for verdict in found.verdicts]
    output.write(json_file, document)
    if strict and not all(verdict.met for verdict in found.verdicts):
        raise typer.Exit(1)


@app.command("idle")
def idle_command(
    sessions: Annotated[int, typer.Option(min=1000, max=idle.MOST_SESSIONS)] = 15_000,
    subject: Subject = "beespace:2",
    reference: Reference = "tarantool",
    rounds: Rounds = 3,
    json_file: JsonFile = None,
    strict: Strict = False,
) -> None:
    """Memory of sessions that do nothing."""
    names = [subject]
    if reference != "tarantool" or targets.find_tarantool() is not None:
        names.append(reference)
    wanted = [(kind, sessions) for kind in _kinds(names)]
    figures = idle.measure(wanted, Plan(rounds), _progress)
    report.idle(figures, idle.LIMIT_BYTES).show()
    rows = {
        figure.target: {"rounds": figure.rounds, "per": figure.per_session} for figure in figures
    }
    output.write(json_file, {"machine": report.machine(), "sessions": sessions, "bytes": rows})
    if strict and figures[0].per_session > idle.LIMIT_BYTES:
        raise typer.Exit(1)


@app.command("messages")
def messages_command(
    count: Annotated[
        int, typer.Option(min=1000, max=messages.MOST_MESSAGES, help="Messages a round.")
    ] = 200_000,
    rate: Annotated[
        int, typer.Option(min=1000, max=messages.MOST_RATE, help="Messages a second, when paced.")
    ] = int(messages.RATE_BAR),
    subject: Subject = "beespace:2",
    rounds: Rounds = 5,
    json_file: JsonFile = None,
    strict: Strict = False,
) -> None:
    """Messages between sessions of two workers."""
    with _kinds([subject])[0].start() as endpoint:
        figures = messages.measure(endpoint, count, rate, Plan(rounds), _progress)
    report.messages(figures).show()
    rows = [
        {"asked": each.rate, "rate": each.found_rate, "p50": each.p50, "p99": each.p99}
        for each in figures
    ]
    output.write(json_file, {"machine": report.machine(), "messages": count, "figures": rows})
    if strict and not all(met for _, met in (each.bar for each in figures)):
        raise typer.Exit(1)


@app.command("console")
def console_command(
    subject: Subject = "beespace:1",
    reference: Reference = "tarantool",
    rounds: Rounds = 3,
    json_file: JsonFile = None,
    strict: Strict = False,
) -> None:
    """Requests beside a console that prints much, and what small statements cost over it."""
    names = [subject]
    if reference != "tarantool" or targets.find_tarantool() is not None:
        names.append(reference)
    with ExitStack() as stack:
        endpoints = [stack.enter_context(kind.start()) for kind in _kinds(names)]
        costs = console.statements(endpoints, Plan(rounds), _progress)
        besides = [
            figure
            for endpoint in endpoints
            for figure in console.beside(endpoint, Plan(rounds), _progress)
        ]
    report.beside(besides).show()
    report.statements(costs).show()
    document = {
        "machine": report.machine(),
        "beside": [asdict(each) for each in besides],
        "statements": [{**asdict(each), "rate": each.rate} for each in costs],
    }
    output.write(json_file, document)
    own = [each for each in besides if each.target == besides[0].target]
    if strict and not all(each.met for each in own):
        raise typer.Exit(1)


@app.command("list")
def list_command(
    sessions: Annotated[
        int, typer.Option(min=100, max=listing.MOST_SESSIONS, help="Idle sessions that are there.")
    ] = listing.SESSIONS,
    rounds: Rounds = 5,
    json_file: JsonFile = None,
    strict: Strict = False,
) -> None:
    """Very many sessions counted, and listed page by page beside requests of another one."""
    with listing.filled(sessions, _progress) as endpoint:
        counts = listing.counts(endpoint, Plan(rounds))
        pages = listing.pages(endpoint, Plan(rounds), _progress)
    report.counts(counts, sessions).show()
    report.pages(pages).show()
    document = {
        "machine": report.machine(),
        "sessions": sessions,
        "counts": [asdict(each) for each in counts],
        "pages": [asdict(each) for each in pages],
    }
    output.write(json_file, document)
    if strict and not (all(each.met for each in counts) and pages[-1].met):
        raise typer.Exit(1)


@app.command("scrape")
def scrape_command(json_file: JsonFile = None, strict: Strict = False) -> None:
    """Metrics asked for while 60,000 sessions are there: the suite's scenario."""
    run_command(["scrape"], reference="none", json_file=json_file, strict=strict)


def _kinds(names: list[str]) -> list[Kind]:
    try:
        return [targets.parse(name, targets.find_tarantool()) for name in names]
    except TargetError as error:
        raise typer.BadParameter(str(error)) from error


def _progress(line: str) -> None:
    """On a terminal, what is being done now."""
    if sys.stderr.isatty():
        print(line, file=sys.stderr)


def _on_term(number: int, _frame: FrameType | None) -> NoReturn:
    """SIGTERM unwinds like Ctrl-C, so that the servers are stopped."""
    raise SystemExit(128 + number)


def main() -> None:
    """Run a command; a server that failed is one clear text and exit code 1."""
    signal.signal(signal.SIGTERM, _on_term)
    raise_limit(MOST_FILES)
    try:
        app()
    except TargetError as error:
        print(f"bench: {error}", file=sys.stderr)
        raise SystemExit(1) from None
