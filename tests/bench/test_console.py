"""The console bench: a console that can be made wrong, the figures, and a real server."""

from __future__ import annotations

import io
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace

import pytest

from bench import console, report, targets, typist
from bench.address import Address
from bench.console import BesideFigure, StatementFigure
from bench.packets import AnswerError
from bench.rounds import Plan
from bench.session import Endpoint
from bench.suite import console as suite_console
from bench.targets import TargetError
from tests.bench import stub

GREETING = b"Tarantool 2.11.0 (Lua console)".ljust(63) + b"\n" + b"type 'help'".ljust(63) + b"\n"
SMALL_ANSWER = typist.SMALL.answer()
Answers = Callable[[bytes], bytes]


def right(line: bytes) -> bytes:
    """What a console answers to the lines of this bench that are cheap to answer."""
    if line.startswith(b"return #'"):
        return b"---\n- %d\n...\n" % (len(line) - 10)
    return SMALL_ANSWER if line.startswith(b"return {") else b"---\n...\n"


@contextmanager
def serve(answers: Answers = right, greeting: bytes = GREETING) -> Iterator[Address]:
    """A console on a free port of 127.0.0.1, in a thread; it takes one client after another."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    end, _ = listener.accept()
                    with end, suppress(OSError), end.makefile("rb") as lines:
                        end.sendall(greeting)
                        for line in lines:
                            end.sendall(answers(line.rstrip(b"\n")))

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield Address(port=listener.getsockname()[1])
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """A server of requests with a console beside it, both of one worker."""

    def results(body: dict[int, object], peer: str) -> dict[int, object]:
        return {0x30: [1]} if 0x27 in body else stub.good(body, peer)

    with ExitStack() as stack:
        served = stack.enter_context(stub.serve(results))
        yield replace(served, console=stack.enter_context(serve()))


def test_the_right_answers() -> None:
    assert typist._list(3, 1).answer() == b"---\n- - 1\n  - 2\n  - 3\n...\n"
    assert typist._string(3, 1).answer() == b"---\n- xxx\n...\n"
    assert typist._lua_string(12, 1).answer() == b'"line\\n\\nline\\n\\n";'
    task = typist._input(30, 1)
    assert len(task.statement()) == 30
    assert task.answer() == b"---\n- 20\n...\n"


def test_a_quiet_console_and_a_busy_one(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "QUIET_SECONDS", 0.2)
    lines: list[str] = []
    quiet, busy = console.beside(endpoint, Plan(2), lines.append, ["input"])
    assert [line[-3:] for line in lines] == ["1/2", "2/2", "1/2", "2/2"]
    assert (quiet.summary, quiet.answer_seconds) == (console.QUIET, None)
    assert quiet.requests == 400
    assert busy.answer_seconds is not None
    assert busy.answer_seconds > 0
    for figure in (quiet, busy):
        assert 0 < figure.p50 <= figure.p99 <= figure.slowest


def test_small_statements(endpoint: Endpoint) -> None:
    one, many = console.statements([endpoint], Plan(2), lambda _: None, batches=2)
    assert [(one.depth, one.statements), (many.depth, many.statements)] == [(1, 200), (100, 200)]
    assert one.rate > 0
    assert many.rate > 0


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"---\n- - 1\n  - two\n  - - 4\n...\n", "expected b'---"),
        (b"---\n- error: no\n...\n", "answered b'---.*- error: no.*, expected"),
    ],
)
def test_a_wrong_answer_ends_the_run(endpoint: Endpoint, answer: bytes, text: str) -> None:
    with serve(lambda _: answer) as address:
        wrong = replace(endpoint, console=address)
        with pytest.raises(TargetError, match=text):
            console.statements([wrong], Plan(1), lambda _: None)


def test_a_wrong_answer_to_the_typist_ends_the_run(endpoint: Endpoint) -> None:
    with serve(lambda _: b"---\n- error: too long\n...\n") as address:
        wrong = replace(endpoint, console=address)
        with pytest.raises(TargetError, match="error: too long"):
            console.beside(wrong, Plan(1), lambda _: None, ["input"])


def test_what_is_no_console(endpoint: Endpoint) -> None:
    other = GREETING.replace(b"Lua", b"Bee")
    with serve(greeting=other) as address, pytest.raises(AnswerError, match="is no console"):
        typist.Console(address)
    with pytest.raises(TargetError, match="its console is not known"):
        console.statements([replace(endpoint, console=None)], Plan(1), lambda _: None)


@pytest.fixture(scope="module")
def real() -> Iterator[Endpoint]:
    with targets.beespace(1) as made:
        yield made


def test_a_real_console(real: Endpoint) -> None:
    _, busy = console.beside(real, Plan(1), lambda _: None, ["input"])
    assert busy.requests > 0
    one, _ = console.statements([real], Plan(1), lambda _: None, batches=1)
    assert one.rate > 0
    assert one.cpu_seconds is not None
    assert one.cpu_seconds > 0


def test_several_workers_are_too_many(endpoint: Endpoint) -> None:
    def results(body: dict[int, object], peer: str) -> dict[int, object]:
        return {0x30: [2]}

    with stub.serve(results) as two, pytest.raises(TargetError, match="it has 2 workers"):
        console.beside(two, Plan(1), lambda _: None)


def test_the_typist_does_its_task_when_it_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve() as address:
        for asked, lines in (("go\n", 2), ("", 1)):
            monkeypatch.setattr(sys, "stdin", io.StringIO(asked))
            monkeypatch.setattr(signal, "signal", lambda *_: None)
            typist.main([str(address), "small", "3"])
            told = capsys.readouterr().out.splitlines()
            assert told[0] == "ready"
            assert len(told) == lines


def test_tables() -> None:
    figures = [
        BesideFigure("beespace:1", console.QUIET, 2000, None, 100, 900, 1000),
        BesideFigure("beespace:1", "prints", 2000, 0.25, 1000, 50_000, 60_000),
        BesideFigure("beespace:1", "reads", 2000, 0.25, 1000, 50_001, 60_000),
        BesideFigure("tarantool", "prints", 2000, 0.25, 1000, 90_000, 90_000),
    ]
    rows = report.beside(figures).rows
    assert rows[0] == (console.QUIET, "beespace:1", "", "2,000", "0.10", "0.90", "1.00", "")
    assert [row[-1] for row in rows] == ["", "met", "NOT MET", ""]
    assert rows[1][2] == "250"
    costs = [
        StatementFigure("beespace:1", 1, 100, 0.01, 0.005),
        StatementFigure("tarantool", 1, 100, 0.02, None),
    ]
    assert report.statements(costs).rows == (
        ("beespace:1", "1", "10,000", "2.00x", "100.0", "50.0"),
        ("tarantool", "1", "5,000", "", "200.0", "-"),
    )


@pytest.mark.parametrize("alone", [True, False])
def test_small_statements_are_promised(alone: bool) -> None:
    costs = [
        StatementFigure(name, depth, 1000, seconds, None)
        for depth in console.DEPTHS
        for name, seconds in (("beespace:1", 1.0), ("tarantool", 2.0))[: 1 if alone else 2]
    ]

    promised = list(suite_console.rates(costs))

    assert [each.about.split(", ")[1][:2] for each in promised] == ["1 ", "10"]
    assert {each.found for each in promised} == {None if alone else 2.0}
    assert {each.met for each in promised} == {None if alone else True}
