"""Where the time goes: a load against this checkout's server, watched by profilers.

    workers    LuaJIT's profiler (profile.lua): compiled, interpreted, C, garbage, compiler; lines
    acceptor   py-spy, where it may look into another process: Python's functions
    all        perf, where it works: symbols of programs and of the kernel

Called by ``bench.cli``. What is not installed or not allowed is said and left out.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from bench import churn, console, idle, listing, lua, messages, packets, usage
from bench.address import Address
from bench.client import Client, Load
from bench.packets import AnswerError
from bench.rounds import Plan, Progress
from bench.scenarios import SCENARIOS
from bench.session import Endpoint, Session
from bench.suite import lookup
from bench.table import Table
from bench.targets import TargetError

LOADS: Final[Mapping[str, tuple[str, int, int]]] = {
    "throughput": ("exists", 8, 128),
    "latency": ("exists", 50, 1),
    "ceiling": ("ping", 8, 128),
    "cores": ("cpu", 8, 16),
    "fibers": ("sleep", 50, 200),
    "mixed": ("mixed", 20, 10),
}
"""Kind, connections and depth that stand for a scenario of the suite."""
_VISITS: Final = 5000
_CLIENTS: Final = 64
_MESSAGES: Final = 50_000
_CROWD: Final = 5000
"""Idle sessions that are there while a large table is looked at."""
_CROWDED: Final = frozenset({"list", "lookup"})
_SHOWN: Final = 12
"""Rows of each table."""
_STATES: Final = {
    "N": "compiled code",
    "I": "interpreter",
    "C": "C functions",
    "G": "garbage collection",
    "J": "compiling",
}
_SPY_RATE: Final = 250
_PERF_RATE: Final = 499
_PERF_LINE: Final = re.compile(r"\s*([\d.]+)%\s+(\S+)\s+\[(.)\]\s+(.*?)(?:\s+-)*\s*")


@dataclass(frozen=True)
class Profile:
    """What was found."""

    tables: Sequence[Table]
    notes: Sequence[str]


def _churn(client: Client, endpoint: Endpoint) -> None:
    churn.measure(client, [endpoint], _CLIENTS, _VISITS, Plan(1), _silent)


def _push(_: Client, endpoint: Endpoint) -> None:
    messages.measure(endpoint, _MESSAGES, int(messages.RATE_BAR), Plan(1), _silent)


def _console(_: Client, endpoint: Endpoint) -> None:
    console.statements([endpoint], Plan(1), _silent, batches=10)


def _look_up(_: Client, endpoint: Endpoint) -> None:
    with Session(endpoint) as session:
        (ids,) = _call(session, "bench_ids", 0, lookup.ASKED)
        for function in ("exists", "peer"):
            _call(session, "bench_lookup", function, ids, lookup.TURNS // 5)


def _list(_: Client, endpoint: Endpoint) -> None:
    with Session(endpoint) as session:
        _call(session, "box.session.count")
        last: int | None = 0
        while last is not None:
            (page,) = _call(session, "box.session.list", {"limit": listing.PAGE, "after": last})
            last = page[-1]["id"] if page else None


def _call(session: Session, function: str, *arguments: Any) -> Any:
    body = {packets.KEY_FUNCTION: function, packets.KEY_TUPLE: list(arguments)}
    return packets.decode(session.exchange(packets.request(packets.TYPE_CALL, 1, body), 1)).data()


def _silent(_: str) -> None:
    """Portions tell of no rounds."""


_PORTIONS: Final[Mapping[str, Callable[[Client, Endpoint], None]]] = {
    "churn": _churn,
    "lookup": _look_up,
    "push": _push,
    "list": _list,
    "console": _console,
}
"""A scenario's work where that is no closed loop of requests: portions, again and again."""


def names() -> list[str]:
    """What can be profiled: scenarios of the suite that have a load, and kinds of requests."""
    return list(dict.fromkeys([*LOADS, *_PORTIONS, *SCENARIOS]))


def measure(endpoint: Endpoint, name: str, seconds: float, progress: Progress) -> Profile:
    """Put ``name`` on a server of this checkout. TargetError when it fails."""
    client = Client()
    try:
        with ExitStack() as stack:
            if name in _CROWDED:
                progress(f"{_CROWD:,} sessions")
                stack.enter_context(idle.holder(endpoint)).open(_CROWD)
            load = _load(client, endpoint, name)
            load(min(seconds, 1.0))
            return _watched(endpoint, load, seconds, progress)
    except (OSError, AnswerError, lua.LuaError) as error:
        raise TargetError(f"profile of {name} against {endpoint.name!r}: {error}") from error


def _load(client: Client, endpoint: Endpoint, name: str) -> Callable[[float], None]:
    """Traffic for so many seconds."""
    if name in _PORTIONS:
        portion = _PORTIONS[name]

        def repeat(seconds: float) -> None:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                portion(client, endpoint)

        return repeat
    kind, connections, depth = LOADS.get(name, (name, 8, 128))
    load = Load(SCENARIOS[kind], connections, depth)

    def drive(seconds: float) -> None:
        client.measure(endpoint, load, 0, seconds)

    return drive


def _watched(
    endpoint: Endpoint, load: Callable[[float], None], seconds: float, progress: Progress
) -> Profile:
    processes = _processes(endpoint)
    acceptor = next(pid for pid, title in processes.items() if " acceptor " in title)
    workers = [pid for pid, title in processes.items() if " worker-" in title]
    notes: list[str] = []
    progress("perf")
    with _traffic(load, seconds):
        hot = _perf([acceptor, *workers], seconds, notes)
    progress("CPU of the processes, py-spy")
    used: dict[int, float] = {}

    def measured(seconds: float) -> None:
        # A profiler takes longer than the load, to start and to write what it found.
        before, begun = {pid: usage.process_cpu(pid) for pid in processes}, time.monotonic()
        load(seconds)
        took = time.monotonic() - begun
        used.update((pid, (usage.process_cpu(pid) - cpu) / took) for pid, cpu in before.items())

    with _traffic(measured, seconds):
        functions = _spy(acceptor, seconds, notes)
    progress("LuaJIT's profiler")
    _in_workers(endpoint, "start")
    load(seconds)
    found = _in_workers(endpoint, "stop")
    return Profile(
        [
            _cpu_table(processes, used),
            states_table(found),
            _counted("Lua: lines", "line", _sum(each["places"] for each in found)),
            *(
                []
                if functions is None
                else [_counted("Acceptor: functions", "function", functions)]
            ),
            *([] if hot is None else [_symbols_table(hot)]),
        ],
        notes,
    )


@contextmanager
def _traffic(load: Callable[[float], None], seconds: float) -> Iterator[None]:
    """The load in a thread of its own, for as long as the block or ``seconds``."""
    thread = threading.Thread(target=load, args=(seconds,))
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _processes(endpoint: Endpoint) -> dict[int, str]:
    """The server's processes with their titles."""
    if endpoint.pid is None:
        raise AnswerError("its processes cannot be seen")
    found = {}
    for pid in usage.tree(endpoint.pid):
        title = " ".join(psutil.Process(pid).cmdline()).strip()
        if title.startswith("beespace: "):
            found[pid] = title
    return found


def _in_workers(endpoint: Endpoint, what: str) -> list[Mapping[str, Any]]:
    """Have every worker run profile.lua, through the control socket; their results."""
    if endpoint.console is None or endpoint.console.path is None:
        raise AnswerError("its control socket is not known")
    control = Address(path=str(Path(endpoint.console.path).with_name("control.sock")))
    source = Path(__file__).with_name("profile.lua").read_text()
    text = "local text, what = ... return box.workers.eval(text, {what}, {target = 'all'})"
    body = {packets.KEY_EXPRESSION: text, packets.KEY_TUPLE: [source, what]}
    with Session(Endpoint("control", control)) as session:
        answer = session.exchange(packets.request(packets.TYPE_EVAL, 1, body), 1)
    (results,) = packets.decode(answer).data()
    return [values[0] for values in results]


def _spy(pid: int, seconds: float, notes: list[str]) -> Counter[str] | None:
    """Functions of a Python process, by how often they were the innermost one."""
    program = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which(
        "py-spy"
    )
    if program is None:
        notes.append("py-spy is not installed: nothing of the acceptor's functions")
        return None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "stacks")
        command = [program, "record", "--format", "raw", "--rate", str(_SPY_RATE), "--nonblocking"]
        command += ["--duration", str(max(1, round(seconds))), "--output", str(file), "--pid"]
        done = _run([*command, str(pid)])
        if done.returncode != 0 or not file.exists():
            notes.append(f"py-spy: {_last_line(done)}")
            return None
        found: Counter[str] = Counter()
        for line in file.read_text().splitlines():
            stack, _, count = line.rpartition(" ")
            found[stack.rpartition(";")[2]] += int(count)
    return found


def _perf(
    pids: Sequence[int], seconds: float, notes: list[str]
) -> list[tuple[str, str, str]] | None:
    """Share, object and symbol of the symbols that took most."""
    program = shutil.which("perf")
    if program is None:
        notes.append("perf is not installed: nothing of the kernel's functions")
        return None
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder, "perf.data"))
        record = [program, "record", "-q", "-F", str(_PERF_RATE), "-o", file]
        listed = ",".join(map(str, pids))
        done = _run([*record, "-p", listed, "--", "sleep", str(seconds)])
        shown = _run([program, "report", "-q", "-i", file, "--stdio", "-s", "dso,symbol"])
    found = symbols(shown.stdout)
    if not found:
        notes.append(f"perf: {_last_line(done if done.returncode else shown)}")
        return None
    return found


def symbols(report: str) -> list[tuple[str, str, str]]:
    """Share, where and symbol of each line of perf's report."""
    lines = [line for line in map(_PERF_LINE.fullmatch, report.splitlines()) if line]
    return [
        (f"{float(line[1]):.1f}%", "kernel" if line[3] == "k" else line[2], line[4])
        for line in lines
    ]


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    return next(iter(reversed((done.stderr + done.stdout).strip().splitlines())), "no samples")


def _sum(counters: Iterator[Mapping[str, int]]) -> Counter[str]:
    found: Counter[str] = Counter()
    for counter in counters:
        found.update(counter)
    return found


def _cpu_table(processes: Mapping[int, str], used: Mapping[int, float]) -> Table:
    rows = [
        (processes[pid].removeprefix("beespace: "), str(pid), f"{share:.0%}")
        for pid, share in used.items()
    ]
    return Table("CPU of the server's processes", ("process", "pid", "of a core"), tuple(rows), 1)


def states_table(found: Sequence[Mapping[str, Any]]) -> Table:
    """One row a worker, from what profile.lua returned in each."""
    rows = []
    for number, worker in enumerate(found):
        # A worker that did nothing has an empty table, which travels as an array.
        states = dict(worker["states"])
        total = sum(states.values()) or 1
        shares = [f"{states.get(key, 0) / total:.0%}" for key in _STATES]
        rows.append((f"worker {number}", f"{total:,}", *shares))
    note = "samples a millisecond apart, while the worker had the CPU; C functions: the kernel, too"
    columns = ("worker", "samples", *_STATES.values())
    return Table("Lua: where the machine was", columns, tuple(rows), 1, (note,))


def _counted(title: str, what: str, found: Counter[str]) -> Table:
    total = sum(found.values()) or 1
    rows = tuple(
        (name, f"{count:,}", f"{count / total:.1%}") for name, count in found.most_common(_SHOWN)
    )
    return Table(title, (what, "samples", "share"), rows, 1)


def _symbols_table(found: Sequence[tuple[str, str, str]]) -> Table:
    rows = tuple((symbol, where, share) for share, where, symbol in found[:_SHOWN])
    return Table("perf: acceptor and workers", ("symbol", "where", "share"), rows, 2)
