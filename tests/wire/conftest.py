"""The server of the wire tests: one worker, so that a PING on the side shows what it has seen."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers.feeds import Barrier
from tests.helpers.raw import Raw, ping
from tests.helpers.server import DATA, Server, running


@pytest.fixture(scope="session")
def wire_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with one worker and the functions of ``data/wire_app.lua``."""
    folder = tmp_path_factory.mktemp("wire")
    with running(folder, app=DATA / "wire_app.lua", workers=1) as server:
        yield server


@pytest.fixture(scope="session")
def barrier(wire_server: Server) -> Iterator[Barrier]:
    """Two PINGs on another connection of the same worker.

    The first may be answered in a turn of the loop that began before the bytes came; when the
    second has been answered, that turn is over.
    """
    with Raw(wire_server.address) as witness:
        probe = ping(0)

        def wait() -> None:
            for _ in range(2):
                witness.send(probe)
                witness.take(int.from_bytes(witness.take(5)[1:], "big"))

        yield wait
