"""A console's other end, and what is typed there: ``python -m bench.typist ADDRESS TASK COUNT``.

Started by ``bench.console``, as a process of its own so that what it reads delays no measurement.
It prepares the task, says ``ready``, waits for a line, types the statement so many times, each
after the answer before, and says in one line of JSON how many seconds each answer took. When one is
wrong it says so instead.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from bench.address import Address
from bench.packets import GREETING_SIZE, AnswerError

ANSWER_SECONDS: Final = 60.0
"""How long a server may take for an answer."""

_CHUNK: Final = 1 << 20
_NOTHING: Final = {"yaml": b"---\n...\n", "lua": b";"}
_ERRORS: Final = {b"---\n- error:": b"\n...\n", b"{error = ": b"};"}
"""How errors begin, and how they end."""
_SHOWN: Final = 60


@dataclass(frozen=True)
class Task:
    """A statement for a console, with its one right answer; texts are made when they are needed."""

    summary: str
    count: int
    """How often a round types it."""
    statement: Callable[[], bytes]
    answer: Callable[[], bytes]
    setup: bytes = b""
    output: str = "yaml"
    """The console's output format."""


def _list_answer(items: int) -> bytes:
    return b"---\n- " + b"  ".join(b"- %d\n" % number for number in range(1, items + 1)) + b"...\n"


def _list(items: int, count: int) -> Task:
    return Task(
        f"prints a table of {items:,} numbers",
        count,
        lambda: b"return bench_typed",
        lambda: _list_answer(items),
        b"bench_typed = {} for i = 1, %d do bench_typed[i] = i end" % items,
    )


def _string(size: int, count: int) -> Task:
    return Task(
        f"prints a string of {size:,} bytes",
        count,
        lambda: b"return bench_typed",
        lambda: b"---\n- " + b"x" * size + b"\n...\n",
        b"bench_typed = ('x'):rep(%d)" % size,
    )


def _lua_string(size: int, count: int) -> Task:
    line = b"line\n\n"
    return Task(
        f"prints a string of {size:,} bytes in lines as Lua",
        count,
        lambda: b"return bench_typed",
        lambda: b'"' + line.replace(b"\n", b"\\n") * (size // len(line)) + b'";',
        b"bench_typed = ('line\\n\\n'):rep(%d)" % (size // len(line)),
        "lua",
    )


def _input(size: int, count: int) -> Task:
    return Task(
        f"is given lines of {size:,} bytes",
        count,
        lambda: b"return #'" + b"x" * (size - 10) + b"'",
        lambda: b"---\n- %d\n...\n" % (size - 10),
    )


SMALL: Final = Task(
    "prints a small table",
    1000,
    lambda: b"return {1, 'two', {3}}",
    lambda: b"---\n- - 1\n  - two\n  - - 3\n...\n",
)

TASKS: Final = {
    "table": _list(1_000_000, 2),
    "string": _string(20_000_000, 10),
    "lua-string": _lua_string(18_000_000, 2),
    "input": _input(3_000_000, 30),
    "small": SMALL,
}


class Console:
    """A connection to a console; a context manager."""

    def __init__(self, address: Address) -> None:
        self._end = address.connect()
        self._end.settimeout(ANSWER_SECONDS)
        self.greeting = self._read(GREETING_SIZE)
        if b"(Lua console)" not in self.greeting[:64]:
            self._end.close()
            raise AnswerError(f"{address} is no console: {self.greeting[:64]!r}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end.close()

    def exchange(self, statements: bytes, answers: bytes) -> None:
        """Send lines and read what they must be answered with; AnswerError for anything else."""
        self._end.sendall(statements)
        received = self._read(len(answers))
        if received != answers:
            raise AnswerError(
                f"the console answered {received[:_SHOWN]!r}, expected {answers[:_SHOWN]!r}"
            )

    def _read(self, size: int) -> bytes:
        """So many bytes, or a whole error."""
        parts = bytearray()
        while len(parts) < size if (end := _end_of(parts)) is None else not parts.endswith(end):
            try:
                data = self._end.recv(min(_CHUNK, max(1, size - len(parts))))
            except TimeoutError as error:
                raise AnswerError(f"no answer within {ANSWER_SECONDS:g} seconds") from error
            if not data:
                raise AnswerError("the server closed the console")
            parts += data
        return bytes(parts)


def _end_of(received: bytearray) -> bytes | None:
    """How an error ends; None when what was received is none."""
    return next((end for begin, end in _ERRORS.items() if received.startswith(begin)), None)


def prepare(console: Console, task: Task) -> None:
    """Make what the task prints."""
    if task.output != "yaml":
        console.exchange(b"\\set output %s\n" % task.output.encode(), b"true;")
    if task.setup:
        console.exchange(task.setup + b"\n", _NOTHING[task.output])


def finish(console: Console, task: Task) -> None:
    """Forget what the task has printed."""
    console.exchange(b"bench_typed = nil\n", _NOTHING[task.output])


def perform(console: Console, task: Task, count: int) -> list[float]:
    """Type a task so many times; the seconds of each."""
    line, answer = task.statement() + b"\n", task.answer()
    took = []
    for _ in range(count):
        begun = time.monotonic()
        console.exchange(line, answer)
        took.append(time.monotonic() - begun)
    return took


def main(arguments: list[str]) -> None:
    """Do one task when a line comes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    address, name, count = arguments
    try:
        with Console(Address.parse(address)) as console:
            prepare(console, TASKS[name])
            print("ready", flush=True)
            if sys.stdin.readline():
                print(json.dumps(perform(console, TASKS[name], int(count))), flush=True)
            finish(console, TASKS[name])
    except (OSError, AnswerError) as error:
        print(f"{error}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
