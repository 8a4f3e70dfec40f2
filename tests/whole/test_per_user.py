"""How many sessions a user may have: exact over two workers, and after the death of one."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.helpers.raw import Raw
from tests.helpers.server import Server, running
from tests.helpers.wait import wait_until
from tests.whole.crews import Crew
from tests.whole.logins import EVERYTHING, PASSWORD

MOST = 5
PROTOCOL = 104
SETTINGS = {
    "session": {"limits": {"per_user": MOST}},
    "credentials": {"users": {"ann": {"password": PASSWORD, "privileges": EVERYTHING}}},
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with running(tmp_path, workers=2, settings=SETTINGS) as made:
        yield made


def is_let_in(client: Raw) -> bool:
    return client.auth("ann", PASSWORD).code == 0


def test_only_so_many_of_those_who_come_at_once(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Raw(server.address)) for _ in range(24)]
        codes: list[int] = []

        def log_in(client: Raw) -> None:
            codes.append(client.auth("ann", PASSWORD).code)

        threads = [threading.Thread(target=log_in, args=(one,)) for one in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(codes) == [0] * MOST + [PROTOCOL] * (len(clients) - MOST)
    with Raw(server.address) as client:
        wait_until(partial(is_let_in, client), 10, "room for another")


def test_what_a_killed_worker_held_does_not_count(server: Server) -> None:
    with contextlib.ExitStack() as stack:
        crew = Crew(server, stack, 2)
        inside = {0: 0, 1: 0}
        others = []
        while sum(inside.values()) < MOST:
            client = stack.enter_context(Raw(server.address))
            assert client.auth("ann", PASSWORD).code == 0
            number = client.eval("return box.info.worker.id").data[0]
            inside[number] += 1
            others += [client] if number == 0 else []
        assert crew[0].auth("ann", PASSWORD).code == PROTOCOL
        os.kill(server.worker_pids()[1], signal.SIGKILL)
        crew[1].wait_closed()

        for _ in range(inside[1]):
            client = stack.enter_context(Raw(server.address))
            wait_until(partial(is_let_in, client), 10, "room for another")
        assert crew[0].auth("ann", PASSWORD).code == PROTOCOL
        for client in others:
            client.ping()
