"""What a person sees of a server's figures, letter by letter."""

from __future__ import annotations

from dataclasses import replace

from server import snapshot
from server.cli import figures
from server.monitor import Figures
from server.rates import between
from server.snapshot import Acceptor, Facts, Process, Snapshot, Supervisor, Totals, Worker

MIB = 1 << 20
FACTS = Facts("hive", 4711, 1_795_000_000.0, "", "boot", ("127.0.0.1:3301",), (), None, 65536, 8)
CALM = Figures("sleeping", 1.0, 50 * MIB, 30 * MIB, 1, 43, 200, 10)


def worker(number: int, pid: int | None, requests: int, state: str = "ready") -> Worker:
    counters = dict.fromkeys(snapshot.COUNTERS, 0)
    gauges = dict.fromkeys(snapshot.GAUGES, 0)
    return Worker(
        number=number,
        row=number,
        pid=pid,
        state=state,
        on_duty=True,
        generation=1,
        storm=pid is None,
        started=0.0,
        cpu=12.5,
        beat=1,
        loop_time=0.00251,
        counters={**counters, "requests": requests, "bytes_in": requests * 100},
        gauges={**gauges, "sessions": 1234, "fibers": 3, "lua_heap": 6 * MIB},
        ended=dict.fromkeys(snapshot.REASONS, 0),
    )


def taken(monotonic: float, requests: int, *processes: Process) -> Snapshot:
    workers = (worker(0, 4713, requests), worker(1, None, 5, "dead"))
    sums = {name: sum(each.counters[name] for each in workers) for name in snapshot.COUNTERS}
    reasons = {**dict.fromkeys(snapshot.REASONS, 0), "client": requests, "login_timeout": 2}
    accepted = {**dict.fromkeys(snapshot.ACCEPTED, 0), "claimed": 1234, "refused": 3}
    return Snapshot(
        time=FACTS.started + 93784,
        monotonic=monotonic,
        facts=FACTS,
        supervisor=Supervisor("running", 0.25, None, 0),
        acceptor=Acceptor(4712, "ready", False, 0, 1234, 9, accepted),
        workers=workers,
        totals=Totals(1234, sums, dict.fromkeys(snapshot.GAUGES, 0), reasons),
        processes=processes,
    )


BUSY = replace(CALM, cpu=2.5, uss=None, fds=None, voluntary=300, status="stopped")
BEFORE = taken(
    100.0,
    1_000_000,
    Process("supervisor", "supervisor", None, 4711, CALM),
    Process("worker", "worker 0", 0, 4713, CALM),
)
AFTER = taken(
    102.0,
    1_024_690,
    Process("supervisor", "supervisor", None, 4711, replace(CALM, status="running")),
    Process("acceptor", "acceptor", None, 4712, CALM),
    Process("worker", "worker 0", 0, 4713, BUSY),
    Process("other", "a helper with a long \x1b title", None, 4720, CALM),
)
SHOWN = """\
server       hive, running, process 4711, up 1 d 2 h
sessions     1234 of 65536
measured     for 2.0 s

                       pid  state                         CPU       RSS       USS  threads  fds  \
switches/s  sessions  fibers  Lua heap    loop  requests/s     in/s  out/s
supervisor            4711  running                      0.0%  50.0 MiB  30.0 MiB        1   43  \
       0.0         -       -         -       -           -        -      -
acceptor              4712  ready                           -  50.0 MiB  30.0 MiB        1   43  \
         -         -       -         -       -           -        -      -
worker 0              4713  ready, stopped              75.0%  50.0 MiB         -        1    -  \
      50.0     1,234       3   6.0 MiB  2.5 ms      12,345  1.2 MiB    0 B
a helper with a long  4720  sleeping                        -  50.0 MiB  30.0 MiB        1   43  \
         -         -       -         -       -           -        -      -
worker 1                 -  dead, dies again and again      -         -         -        -    -  \
         -         -       -         -       -           -        -      -

                         total  per second
requests             1,024,695      12,345
  pings                      0         0.0
  calls                      0         0.0
  evals                      0         0.0
  selects                    0         0.0
  auths                      0         0.0
  others                     0         0.0
errors                       0         0.0
slow                         0         0.0
wrong logins                 0         0.0
refused logins               0         0.0
bytes in              97.7 MiB     1.2 MiB
bytes out                  0 B         0 B
protocol errors              0         0.0
sessions begun           1,234         0.0
sessions ended       1,024,692      12,345
  client             1,024,690      12,345
  login timeout              2         0.0
refused: table full          3         0.0
"""


def shown(*arguments: object) -> str:
    return "".join(f"{line}\n" for line in figures.lines(*arguments))  # type: ignore[arg-type]


def test_everything() -> None:
    assert shown(AFTER, between(BEFORE, AFTER)) == SHOWN


def test_a_supervisor_that_hangs_and_nothing_measured() -> None:
    hung = replace(BEFORE, supervisor=replace(BEFORE.supervisor, silence=31.0))
    lines = shown(hung, None).splitlines()
    assert lines[0] == "server       hive, running, process 4711, up 1 d 2 h, silent for 31.0 s"
    assert lines[3].endswith("sessions  fibers  Lua heap    loop")
    assert lines[5].split()[:5] == ["worker", "0", "4713", "ready", "12.5%"]
    assert lines[8].split() == ["total"]
    assert lines[9].split() == ["requests", "1,000,005"]


def test_an_acceptor_that_stands_still_or_dies_again_and_again() -> None:
    acceptor = Process("acceptor", "acceptor", None, 4712, CALM)
    storm = replace(BEFORE.acceptor, state="starting", storm=True)
    told = shown(replace(BEFORE, acceptor=storm, processes=(acceptor,)), None)
    assert "starting, dies again and again" in told
    stopped = replace(acceptor, figures=replace(CALM, status="stopped"))
    told = shown(replace(BEFORE, processes=(stopped,)), None)
    assert "4712  ready, stopped" in told
