"""Connections to every worker of a server, for tests of what all of them must agree on."""

from __future__ import annotations

import contextlib
from typing import Any

from tests.helpers.raw import ClosedError, Raw
from tests.helpers.server import Server
from tests.helpers.wait import tries, wait_until
from tests.whole.conftest import await_gone

NAMES = """
local names, event = {}, 'box.session.' .. ...
for _, each in ipairs(require('trigger').info(event)[event] or {}) do
  names[#names + 1] = each[1]
end
return table.concat(names, ' '), #box.session[...]()
"""


class Crew:
    """A connection to each worker of a server, by the worker's number."""

    def __init__(self, server: Server, stack: contextlib.ExitStack, workers: int) -> None:
        self.server = server
        self.clients: dict[int, Raw] = {}
        wait_until(lambda: self._connect(stack, workers), 20, "a connection to each worker")

    def _connect(self, stack: contextlib.ExitStack, workers: int) -> bool:
        for _ in range(4 * workers):
            client = Raw(self.server.address)
            number = client.eval("return box.info.worker.id").data[0]
            if number in self.clients:
                client.close()
            else:
                self.clients[number] = stack.enter_context(client)
        return len(self.clients) == workers

    def __getitem__(self, number: int) -> Raw:
        return self.clients[number]

    def everywhere(self, source: str, *arguments: object) -> Any:
        """The results of a chunk, which must be the same in all workers."""
        told = [client.eval(source, *arguments).data for client in self.clients.values()]
        assert all(each == told[0] for each in told), told
        return told[0]

    def names(self, event: str = "on_connect") -> list[str]:
        """Names of an event's triggers, the same in all workers."""
        text, count = self.everywhere(NAMES, event)
        assert len(str(text).split()) == count
        return str(text).split()


def visit(server: Server, source: str, workers: int) -> dict[int, Any]:
    """What a chunk returns in new sessions, by worker: one at least of each worker."""
    found: dict[int, Any] = {}

    def ask() -> bool:
        for _ in range(4 * workers):
            with Raw(server.address) as client:
                number, value = client.eval(f"return box.info.worker.id, {source}").data
                assert found.setdefault(number, value) == value
        return len(found) == workers

    wait_until(ask, 20, "a session of each worker")
    return found


def pids_of(server: Server) -> list[int]:
    """Processes of the workers that are there."""
    with contextlib.suppress(ClosedError, OSError, AssertionError):
        return list(server.worker_pids().values())
    return [child.pid for child in server.children()]


def spread(
    server: Server, stack: contextlib.ExitStack, workers: int, each: int
) -> dict[int, list[Raw]]:
    """Connections by the worker's number, ``each`` of them to every worker."""
    found: dict[int, list[Raw]] = {number: [] for number in range(workers)}
    surplus: list[tuple[Raw, int]] = []
    for _ in tries():
        for _ in range(workers * each - sum(map(len, found.values()))):
            client = stack.enter_context(Raw(server.address))
            number, session = client.eval("return box.info.worker.id, box.session.id()").data
            if len(found[number]) < each:
                found[number].append(client)
            else:
                surplus.append((client, session))
        if all(len(clients) == each for clients in found.values()):
            for client, session in surplus:
                client.close()
                await_gone(found[0][0], session)
            return found
    raise AssertionError(f"connections to each worker: {found}, expected {each}")
