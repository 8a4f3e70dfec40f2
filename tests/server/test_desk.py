"""The command socket: nobody who connects can hold up the loop or the others."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from server import desk as desks
from server.commands import Commands, Later
from server.desk import LONGEST_LINE, MOST_VISITORS, Desk
from server.loop import Loop
from tests.helpers.descriptors import no_descriptors

PATIENCE = 20.0
SHORT = 0.2
"""Patience for those who are going to be sent away, seconds."""


class Log:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def warning(self, text: str, **_: Any) -> None:
        self.lines.append(text)

    error = warning


class Office:
    """A desk on a loop that turns while a test waits."""

    def __init__(self, path: Path, patience: float) -> None:
        self.log = Log()
        self.path = path
        self.loop = Loop()
        self.later = Later()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(64)
        commands = Commands(self.log)
        commands.add("echo", lambda arguments: {"given": arguments})
        commands.add("much", lambda _: {"text": "x" * 4_000_000})
        commands.add("wait", lambda _: self.later)
        self.desk = Desk(self.loop, self.listener, commands, self.log, patience)
        self.clients = contextlib.ExitStack()

    def connect(self) -> socket.socket:
        client = self.clients.enter_context(socket.socket(socket.AF_UNIX))
        client.connect(str(self.path))
        client.setblocking(False)
        return client

    def turn(self, holds: Callable[[], object], seconds: float = 5.0) -> None:
        """Turn the loop until the condition holds."""
        self.loop._stopped = False
        late = self.loop.after(seconds, self.loop.stop)
        failed = [True]

        def look() -> None:
            if holds():
                failed.clear()
                self.loop.stop()
            else:
                self.loop.after(0.001, look)

        look()
        self.loop.run()
        late.cancel()
        assert not failed, f"not within {seconds} s"

    def receive(self, client: socket.socket, lines: int = 1) -> list[Any]:
        """Whole lines; fewer when the desk hangs up."""
        data = bytearray()
        over = []

        def came() -> bool:
            with contextlib.suppress(BlockingIOError):
                part = client.recv(1 << 20)
                data.extend(part)
                over.extend([] if part else [True])
            return bool(over) or data.count(b"\n") >= lines

        self.turn(came)
        return [json.loads(line) for line in data.splitlines()]

    def close(self) -> None:
        self.desk.close()
        self.clients.close()
        self.listener.close()
        self.loop.close()


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path / "supervisor.sock", PATIENCE)
    yield made
    made.close()


@pytest.fixture
def hasty(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path / "supervisor.sock", SHORT)
    yield made
    made.close()


def say(command: str, **arguments: Any) -> bytes:
    return json.dumps({"command": command, "arguments": arguments}).encode() + b"\n"


def test_several_visitors_and_several_lines(office: Office) -> None:
    first, second = office.connect(), office.connect()
    first.send(say("echo", n=1) + say("echo", n=2)[:10])
    second.send(say("echo", n=3))
    assert office.receive(second) == [{"ok": True, "answer": {"given": {"n": 3}}}]
    assert office.receive(first) == [{"ok": True, "answer": {"given": {"n": 1}}}]
    first.send(say("echo", n=2)[10:])
    assert office.receive(first) == [{"ok": True, "answer": {"given": {"n": 2}}}]


def test_who_says_no_more_gets_all_answers_then_the_end(office: Office) -> None:
    client = office.connect()
    client.send(say("echo", n=1) + say("echo", n=2) + b"half a line")
    client.shutdown(socket.SHUT_WR)
    answers = office.receive(client, lines=3)
    assert [answer["answer"]["given"]["n"] for answer in answers] == [1, 2]


def test_a_long_answer_arrives_whole_while_others_are_served(office: Office) -> None:
    slow, quick = office.connect(), office.connect()
    slow.send(say("much"))
    quick.send(say("echo"))
    assert office.receive(quick)[0]["ok"]
    (answer,) = office.receive(slow)
    assert len(answer["answer"]["text"]) == 4_000_000


@pytest.mark.parametrize("said", [b"", b"half a line", say("much")])
def test_who_is_too_slow_is_sent_away(hasty: Office, said: bytes) -> None:
    client = hasty.connect()
    if said:
        client.send(said)
    hasty.turn(lambda: hasty.desk._visitors)
    hasty.turn(lambda: not hasty.desk._visitors)


def test_who_waits_for_a_command_may_wait(hasty: Office) -> None:
    client = hasty.connect()
    client.send(say("wait"))
    hasty.turn(lambda: hasty.later._answer)
    over: list[bool] = []
    hasty.loop.after(2 * SHORT, lambda: over.append(True))
    hasty.turn(lambda: over)
    hasty.later.done({"n": 1})
    assert hasty.receive(client) == [{"ok": True, "answer": {"n": 1}}]


def test_who_has_left_misses_his_answer_only(office: Office) -> None:
    client, other = office.connect(), office.connect()
    client.send(say("wait"))
    office.turn(lambda: office.later._answer)
    client.close()
    office.later.done({})
    other.send(say("echo"))
    assert office.receive(other)[0]["ok"]
    office.turn(lambda: len(office.desk._visitors) == 1)


def test_a_line_has_an_end(office: Office) -> None:
    client = office.connect()
    client.send(b"x" * (LONGEST_LINE + 1))
    (answer,) = office.receive(client, lines=2)
    assert answer == {"ok": False, "error": f"expected a line of at most {LONGEST_LINE} bytes"}


def test_there_are_only_so_many_visitors(office: Office) -> None:
    clients = [office.connect() for _ in range(MOST_VISITORS)]
    office.turn(lambda: len(office.desk._visitors) == MOST_VISITORS)
    (answer,) = office.receive(office.connect(), lines=2)
    assert answer == {"ok": False, "error": f"{MOST_VISITORS} others give commands already"}
    clients[0].close()
    office.turn(lambda: len(office.desk._visitors) == MOST_VISITORS - 1)
    client = office.connect()
    client.send(say("echo"))
    assert office.receive(client)[0]["ok"]


def test_strangers_are_closed(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desks, "user_of", lambda _: 12345)
    assert office.receive(office.connect()) == []
    assert office.log.lines == ["command socket: closed what another user opened"]


def test_without_descriptors_it_tries_again_later(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Out:
        tries = 0

        def fileno(self) -> int:
            return office.listener.fileno()

        def accept(self) -> Any:
            self.tries += 1
            if self.tries <= 3:
                raise OSError(24, "Too many open files")
            return office.listener.accept()

    monkeypatch.setattr(desks, "RETRY", 0.05)
    out: Any = Out()
    office.desk._listener = out
    client = office.connect()
    client.send(say("echo"))
    assert office.receive(client)[0]["ok"]
    assert out.tries == 4
    assert office.log.lines == ["command socket: cannot accept for now"], "not a line a try"


def test_at_the_limit_one_comes_in_at_a_time(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desks, "RETRY", 0.01)
    first, second = office.connect(), office.connect()
    with no_descriptors():
        first.send(say("echo", n=1))
        second.send(say("echo", n=2))
        assert office.receive(first)[0]["answer"] == {"given": {"n": 1}}
        office.turn(lambda: office.log.lines)
        first.close()
        assert office.receive(second)[0]["answer"] == {"given": {"n": 2}}
    assert office.log.lines == ["command socket: cannot accept for now"]


def test_a_desk_that_closes_lets_everybody_go(office: Office) -> None:
    client = office.connect()
    client.send(say("wait"))
    office.turn(lambda: office.later._answer)
    office.desk.close()
    office.later.done({})
    assert office.receive(client) == []
