"""Load in the background, from a process of its own: ``python -m bench.loader ADDRESS WHAT ...``.

    load KIND CONNECTIONS DEPTH   requests of one kind, closed loop
    pages ROWS WORKER             one session of that worker, which lists all sessions, so many at
                                  a time, over and over
    burn SLICE WORKER             one session of that worker whose calls compute so many seconds
                                  each, one after the other; any worker where there is only one
    churn CLIENTS                 so many at a time that connect, call once and leave

Started by :func:`behind`, so that what is measured meanwhile has no share in its work. It says
``ready`` once traffic flows, goes on until its standard input ends, and then says in one line of
JSON how many requests were answered in how many seconds. When something is wrong it says so.
"""

from __future__ import annotations

import json
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from bench import churn, lua, packets
from bench.address import Address
from bench.client import Client, Load
from bench.packets import AnswerError
from bench.rounds import Plan
from bench.scenarios import CPU_TARGET_MICROSECONDS, SCENARIOS
from bench.session import Endpoint, Session
from bench.targets import CHECKOUT, TargetError

MOST_SECONDS: Final = 60.0
"""After which it ends by itself."""
_SLICE: Final = 0.1
"""Seconds between two looks whether it shall end."""
_VISITS: Final = 500
_TRIES: Final = 64
_COUNT: Final = "local i = box.info.worker return i and i.count or 1"
_WORKER: Final = "local worker = box.info.worker return worker and worker.id or -1"


class Behind:
    """A loader that runs; ``rate`` is known once its block has ended."""

    rate = 0.0


@contextmanager
def behind(endpoint: Endpoint, *what: object) -> Iterator[Behind]:
    """Load while the block runs. AnswerError when it does not start, or went wrong."""
    command = [sys.executable, "-m", "bench.loader", str(endpoint.address), *map(str, what)]
    found = Behind()
    with subprocess.Popen(
        command,
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            _hear(process.stdout.readline(), "ready")
            yield found
            process.stdin.close()
            told = json.loads(_hear(process.stdout.readline(), "{"))
        except BaseException:
            process.kill()
            raise
    found.rate = told["requests"] / told["seconds"]


def _hear(line: str, expected: str) -> str:
    if not line.startswith(expected):
        raise AnswerError(line.strip() or "the background load ended")
    return line


def worker_of(session: Session) -> int:
    """Number of the worker that has a session, -1 where a server has none."""
    body = {packets.KEY_EXPRESSION: _WORKER, packets.KEY_TUPLE: []}
    answer = session.exchange(packets.request(packets.TYPE_EVAL, 1, body), 1)
    return int(packets.decode(answer).data()[0])


def workers_of(endpoint: Endpoint) -> int:
    """How many workers a server has, 1 when it does not know of any. AnswerError as others."""
    body = {packets.KEY_EXPRESSION: _COUNT, packets.KEY_TUPLE: []}
    with Session(endpoint) as session:
        answer = session.exchange(packets.request(packets.TYPE_EVAL, 1, body), 1)
    return int(packets.decode(answer).data()[0])


def on_worker(endpoint: Endpoint, worker: int, stack: ExitStack) -> Session:
    """A session of that worker, or any where a server has no workers."""
    for _ in range(_TRIES):
        session = stack.enter_context(Session(endpoint))
        if worker_of(session) in (worker, -1):
            return session
    raise AnswerError(f"{_TRIES} connections reached no worker {worker}")


def _is_over(until: float) -> bool:
    return time.monotonic() > until or bool(select.select([sys.stdin], [], [], 0)[0])


def _load(endpoint: Endpoint, kind: str, connections: str, depth: str) -> tuple[int, float]:
    client, load = Client(), Load(SCENARIOS[kind], int(connections), int(depth))
    client.measure(endpoint, load, 0, _SLICE)
    print("ready", flush=True)
    requests, seconds, until = 0, 0.0, time.monotonic() + MOST_SECONDS
    while True:
        found = client.measure(endpoint, load, 0, 5 * _SLICE)
        requests, seconds = requests + found.requests, seconds + found.seconds
        if _is_over(until):
            return requests, seconds


def _burn(endpoint: Endpoint, slice_: str, worker: str) -> tuple[int, float]:
    turns = round(Client().cpu[0] * float(slice_) * 1e6 / CPU_TARGET_MICROSECONDS)
    body = {packets.KEY_FUNCTION: "bench_cpu", packets.KEY_TUPLE: [turns]}
    request = packets.request(packets.TYPE_CALL, 1, body)
    with ExitStack() as stack:
        session = on_worker(endpoint, int(worker), stack)
        session.exchange(request, 1)
        print("ready", flush=True)
        requests, begun = 0, time.monotonic()
        while True:
            packets.decode(session.exchange(request, 1)).data()
            requests += 1
            if _is_over(begun + MOST_SECONDS):
                return requests, time.monotonic() - begun


def _churn(endpoint: Endpoint, clients: str) -> tuple[int, float]:
    client, visits, seconds = Client(), 0, 0.0

    def visit(count: int) -> float:
        (found,) = churn.measure(client, [endpoint], int(clients), count, Plan(1), lambda _: None)
        return count / found.rate

    visit(_VISITS)
    print("ready", flush=True)
    until = time.monotonic() + MOST_SECONDS
    while True:
        seconds, visits = seconds + visit(_VISITS), visits + _VISITS
        if _is_over(until):
            return visits, seconds


def _pages(endpoint: Endpoint, rows: str, worker: str) -> tuple[int, float]:
    body: dict[int, Any] = {packets.KEY_FUNCTION: "box.session.list"}
    with ExitStack() as stack:
        session, last, requests = on_worker(endpoint, int(worker), stack), 0, 0
        print("ready", flush=True)
        begun = time.monotonic()
        while True:
            body[packets.KEY_TUPLE] = [{"limit": int(rows), "after": last}]
            answer = session.exchange(packets.request(packets.TYPE_CALL, 1, body), 1)
            (page,) = packets.decode(answer).data()
            last, requests = page[-1]["id"] if page else 0, requests + 1
            if _is_over(begun + MOST_SECONDS):
                return requests, time.monotonic() - begun


def main(arguments: list[str]) -> int:
    """Run; 1 when something is wrong, which is then said."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    address, what, *rest = arguments
    endpoint = Endpoint(address, Address.parse(address))
    run: Any = {"load": _load, "pages": _pages, "burn": _burn, "churn": _churn}[what]
    try:
        requests, seconds = run(endpoint, *rest)
    except (OSError, AnswerError, TargetError, lua.LuaError) as error:
        print(f"background load: {error}", flush=True)
        return 1
    print(json.dumps({"requests": requests, "seconds": seconds}), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
