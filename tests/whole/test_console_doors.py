"""Who gets a console of a server that is full, or whose on_connect fails; and its dialect."""

from __future__ import annotations

import contextlib
import socket

from server import refusal
from tests.helpers.raw import Raw
from tests.helpers.text_console import TextConsole
from tests.helpers.wait import wait_until
from tests.whole.conftest import Start

OWNERS = 8
"""Sessions in reserve for the run directory's sockets."""


def heard(path: str) -> bytes:
    """All that a console says to somebody who types nothing: its greeting, if it lets him in."""
    data = b""
    with socket.socket(socket.AF_UNIX) as end:
        end.settimeout(10)
        end.connect(path)
        end.shutdown(socket.SHUT_WR)
        while chunk := end.recv(4096):
            data += chunk
    return data


def test_a_full_server_lets_its_owner_in_by_both_sockets(start: Start) -> None:
    server = start(workers=2, arguments=["--max-sessions", "4"])
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(Raw(server.address)).ping()
        for _ in range(OWNERS - 1):
            console = stack.enter_context(TextConsole(server.console))
            assert console.values("box.session.type()") == ["console"]
        stack.enter_context(Raw(server.control)).ping()
        assert heard(server.console) == refusal.to_console(refusal.full_table(4))
        # What one gives back another may have.
        console.close()
        wait_until(lambda: len(heard(server.console)) == 128, what="a slot")


def test_on_connect_keeps_consoles_out_and_the_control_socket_is_the_way_in(start: Start) -> None:
    app = "box.session.on_connect(function() error('no bees today') end, nil, 'door')"
    server = start(workers=2, app=app)
    assert heard(server.console) == b""
    with Raw(server.control) as owner:
        owner.eval("box.session.on_connect(nil, nil, 'door')")
    wait_until(lambda: heard(server.console) != b"", what="the change everywhere")
    with TextConsole(server.console) as console:
        assert console.values("box.session.user()") == ["admin"]


def test_the_dialect_of_the_settings(start: Start) -> None:
    text = "'a\\nb'"
    with TextConsole(start(workers=1).console) as console:
        assert console.say(text) == b"---\n- 'a\n\n  b'\n...\n"
    settings = {"console": {"dialect": "new"}}
    with TextConsole(start(workers=1, settings=settings).console) as console:
        assert console.say(text) == b"---\n- |-\n  a\n  b\n...\n"


def test_without_consoles_the_control_socket_is_there(start: Start) -> None:
    server = start(workers=1, settings={"console": {"enabled": False}})
    assert server.lines("console=none")
    with Raw(server.control) as owner:
        assert owner.eval("return box.session.user()").data == ["admin"]
