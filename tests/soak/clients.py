"""A process full of clients: threads that pay one visit after another until standard input ends.

python -m tests.soak.clients ORDER
    ORDER is JSON, see :class:`Order`; prints "ready" when all threads have begun, and ends when
    the last visit is over. Records go to the file as they come, a line each.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Final

from tests.helpers.server import ROOT, Server, environment
from tests.soak import menu, record, visits
from tests.soak.guest import Host

END_TIME: Final = 60.0
"""Seconds until the last visit is over: one may wait for an answer, and then for another."""


@dataclass(frozen=True)
class Order:
    """What a process of clients is told."""

    host: str
    port: int
    console: str
    file: str
    """Where the records go."""
    name: str
    """Of this process, unlike all others'."""
    seed: int
    calm: bool
    chats: int
    """Threads that only chat."""
    visitors: int
    """Threads that come for anything."""
    pause: float
    """Longest time between two visits of a thread, seconds."""


class Crowd:
    """Processes of clients, seen from who started them."""

    def __init__(self, orders: Sequence[Order]) -> None:
        self._files = [Path(order.file) for order in orders]
        self._processes = [_start(order) for order in orders]

    def await_ready(self) -> None:
        """Wait until all of them have begun."""
        for process in self._processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n", "a process of clients failed"

    def end(self) -> list[record.Record]:
        """Let them end; what they have seen."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()
        for process in self._processes:
            code = process.wait(END_TIME)
            assert code == 0, f"a process of clients ended with {code}"
        return [each for file in self._files for each in record.read(file)]

    def kill(self) -> None:
        """End what a run that failed has left."""
        for process in self._processes:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()


@contextlib.contextmanager
def crowd(orders: Sequence[Order]) -> Iterator[Crowd]:
    """Clients for the time of a ``with`` block."""
    made = Crowd(orders)
    try:
        made.await_ready()
        yield made
    finally:
        made.kill()


def orders_for(
    server: Server, folder: Path, round_: str, seed: int, processes: int, calm: bool
) -> list[Order]:
    """What the processes of one round are told."""
    host, port = server.address
    return [
        Order(
            host=host,
            port=port,
            console=server.console,
            file=str(folder / f"{round_}-{number}.jsonl"),
            name=f"{round_}-{number}",
            seed=seed * 1000 + number,
            calm=calm,
            chats=4,
            visitors=8,
            pause=0.05,
        )
        for number in range(processes)
    ]


def _start(order: Order) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.soak.clients", json.dumps(asdict(order))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env=environment(),
        text=True,
    )


class Threads:
    """The threads of a process."""

    def __init__(self, order: Order, file: Path) -> None:
        self._order = order
        self._file = file.open("a", encoding="utf-8")
        self._lock = threading.Lock()
        self.over = threading.Event()
        jobs = [(visits.chat,)] * order.chats + [tuple(menu.VISITS)] * order.visitors
        self._pool = ThreadPoolExecutor(len(jobs))
        self._begun = [self._pool.submit(self._visit, *each) for each in enumerate(jobs)]

    def join(self) -> None:
        """Wait for the last visit; what was wrong with a thread itself is raised."""
        for each in self._begun:
            each.result()
        self._file.close()

    def _visit(self, number: int, job: Sequence[visits.Purpose]) -> None:
        order, dice = self._order, Random(self._order.seed * 100 + number)
        weights = [menu.VISITS[each] for each in job]
        while not self.over.is_set():
            (what,) = dice.choices(job, weights)
            host = Host(what.__name__, (order.host, order.port), order.console)
            place = f"{order.name}.{number}"
            menu.pay(what, visits.Visit(host, dice, self.over, order.calm, place))
            lines = "".join(record.dump(each) for each in host.records)
            with self._lock:
                self._file.write(lines)
            self.over.wait(dice.uniform(0, order.pause))


def main(words: Sequence[str]) -> None:
    order = Order(**json.loads(words[0]))
    threads = Threads(order, Path(order.file))
    print("ready", flush=True)
    sys.stdin.read()
    threads.over.set()
    threads.join()


if __name__ == "__main__":
    main(sys.argv[1:])
