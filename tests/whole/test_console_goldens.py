"""Consoles of a whole server answer as recorded of Tarantool 2.6.0, byte for byte.

The exceptions are in tests/data/console_differences.json, with reasons: cases that need what this
server is not (a database), and cases that it answers otherwise on purpose. A case of the second
kind that begins to match fails the test as a new difference does.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pytest

from tests.helpers.console_golden import Case, cases, exceptions
from tests.helpers.raw import GREETING_SIZE
from tests.helpers.server import LOOPBACK, Server, running

CASES: Final = cases()
NAMED: Final = exceptions()
RUN: Final = [case for case in CASES if case.name not in NAMED.excluded]
AT_ONCE: Final = 4
DEADLINE: Final = 20.0
LEAST: Final = 0.95

APPLICATION: Final = """
box.once('tester', function()
  box.schema.user.create('tester', {password = 'secret'})
  box.schema.user.grant('tester', 'execute', 'universe')
end)
"""


class Consoles:
    """The consoles of a server, by the transport that a case asks for."""

    def __init__(self, server: Server, unix: str) -> None:
        (ready,) = server.lines("console=")
        found = re.search(r"console=\S*127\.0\.0\.1:(\d+)", ready)
        assert found is not None, ready
        self.tcp = ("127.0.0.1", int(found[1]))
        self.unix = unix

    def _connect(self, transport: str) -> socket.socket:
        if transport == "tcp":
            return socket.create_connection(self.tcp, DEADLINE)
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(DEADLINE)
        connection.connect(self.unix)
        return connection

    def answer(self, case: Case) -> bytes:
        """Everything behind the greeting that a connection of its own gets."""
        with self._connect(case.transport) as connection:
            connection.sendall(case.input)
            connection.shutdown(socket.SHUT_WR)
            came = bytearray()
            while data := connection.recv(1 << 16):
                came += data
        return bytes(came[GREETING_SIZE:])

    def answers(self, wanted: list[Case]) -> dict[str, bytes]:
        """Those of the cases; the ones that change nothing several at a time."""
        pure = [case for case in wanted if case.pure]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = dict(zip((c.name for c in pure), pool.map(self.answer, pure), strict=True))
        return found | {case.name: self.answer(case) for case in wanted if not case.pure}


@pytest.fixture(scope="module")
def consoles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consoles]:
    """Two workers, a console on TCP and one on a unix socket."""
    folder = tmp_path_factory.mktemp("goldens")
    unix = f"{folder}/console"
    settings = {
        "compat": {"session_results": "new"},
        "console": {"listen": [LOOPBACK, f"unix/:{unix}"]},
    }
    with running(folder, app=APPLICATION, settings=settings) as server:
        yield Consoles(server, unix)


@pytest.mark.parametrize("group", sorted({case.group for case in CASES}))
def test_answers_are_those_of_tarantool(consoles: Consoles, group: str) -> None:
    wanted = [case for case in RUN if case.group == group]
    answers = consoles.answers(wanted)

    other = {case.name for case in wanted if not case.matches(answers[case.name])}
    named = {name for name in NAMED.different if name.startswith(f"{group}/")}

    report = [
        f"{case.name}: {case.input!r}\n  wanted {case.output!r}\n  got    {answers[case.name]!r}"
        for case in wanted
        if case.name in other - named
    ]
    assert not report, "\n".join(report)
    assert named - other == set(), "named as different, but they match"


def test_few_answers_differ_on_purpose() -> None:
    assert len(NAMED.different) <= (1 - LEAST) * len(RUN)


def test_exceptions_are_cases() -> None:
    names = {case.name for case in CASES}

    assert set(NAMED.excluded) | set(NAMED.different) <= names
