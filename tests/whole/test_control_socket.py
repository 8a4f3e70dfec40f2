"""The way in for who runs the server: rights, reserve, and the life of its file."""

from __future__ import annotations

import contextlib
import json
import signal
import stat
from pathlib import Path

from server.listeners import answers
from tests.helpers.raw import Raw
from tests.helpers.server import Server, running
from tests.helpers.wait import wait_until
from tests.whole.conftest import Start
from tests.whole.connectors import connect

WHO = "local s = box.session return s.user(), s.effective_user(), s.uid(), s.peer(), s.type()"


def test_it_is_named_and_private(shared: Server) -> None:
    state = json.loads((shared.folder / "run" / "server.json").read_text())
    assert state["control"] == shared.control
    assert shared.control not in state["sockets"]
    assert stat.S_IMODE(Path(shared.control).stat().st_mode) == 0o600
    (ready,) = shared.lines("listeners=")
    assert f"control={shared.control}" in ready
    assert shared.control not in ready.split("listeners=")[1].split()[0]


def test_the_stock_connector_is_admin_there_and_guest_elsewhere(shared: Server) -> None:
    with contextlib.closing(connect(shared.control)) as owner:
        assert owner.eval(WHO).data == ["admin", "admin", 1, "unix/:(socket)", "binary"]
    with contextlib.closing(connect(shared.unix)) as client:
        assert client.eval(WHO).data == ["guest", "guest", 0, "unix/:(socket)", "binary"]


def test_a_full_server_lets_its_owner_in(start: Start) -> None:
    server = start(workers=2, arguments=["--max-sessions", "4"])
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(Raw(server.address)).ping()
        owners = [stack.enter_context(Raw(server.control)) for _ in range(8)]
        for owner in owners:
            owner.ping()
        for address in (server.address, server.control):
            with Raw(address) as refused:
                assert refused.packet().code == 104
                refused.wait_closed()
        owners[0].ping()


def test_it_goes_with_the_server_and_outlives_no_killed_one(tmp_path: Path) -> None:
    with running(tmp_path, workers=1) as server:
        path = Path(server.control)
        assert path.is_socket()
        server.send_signal(signal.SIGKILL)
        server.process.wait(5)
        assert path.is_socket()
        place = server.folder
    wait_until(lambda: not answers(str(path)), what="end of the acceptor")
    with running(tmp_path, workers=1, arguments=["--run-dir", str(place / "run")]) as server:
        with Raw(str(path)) as owner:
            owner.ping()
        assert server.lines(f"left.*{path}")
        server.stop()
        assert not path.exists()


def test_the_way_in_when_on_connect_always_fails(start: Start) -> None:
    app = """
    box.session.on_connect(function() error('no bees today') end, nil, 'door')
    box.session.on_disconnect(function() print('left', box.session.id()) end)
    """
    server = start(workers=2, app=app)
    for address in (server.address, server.address):
        with Raw(address) as refused:
            assert "no bees today" in refused.packet().text
            refused.wait_closed()
    with contextlib.closing(connect(server.control)) as owner:
        assert owner.eval(WHO).data[0] == "admin"
        assert list(owner.eval("box.session.on_connect(nil, nil, 'door')").data) == []
        mine = owner.eval("return box.session.id()").data[0]
    for _ in range(4):
        with Raw(server.address) as client:
            client.ping()
    wait_until(lambda: len(server.lines("left")) == 6, what="farewells of clients")
    assert server.lines(f"left.*{mine}$") == []


def test_admin_there_and_no_rights_elsewhere(start: Start) -> None:
    server = start(workers=1, open_to_guests=False)
    with Raw(server.address) as client:
        assert client.request(8, {0x27: "return 1", 0x21: []}).code == 42
    with Raw(server.control) as owner:
        assert owner.eval("return 1").data == [1]
