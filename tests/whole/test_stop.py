"""The end of a server as its clients see it: requests, watchers, shutdown functions, impatience."""

from __future__ import annotations

import contextlib
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.raw import EVAL, GREETING_SIZE, PING, Raw, decode, request
from tests.helpers.server import DATA, Server, alive, running
from tests.helpers.wait import assert_within, wait_until

APP = DATA / "whole_app.lua"
SLEEP = "require('fiber').sleep(...) return 'slept'"


def send(client: Raw, source: str, *arguments: object, sync: int = 1) -> None:
    client.send(request({0: EVAL, 1: sync}, {0x27: source, 0x21: list(arguments)}))


def stopping(server: Server) -> None:
    """Send SIGTERM and wait until the server has heard it."""
    server.send_signal()
    wait_until(lambda: server.lines("stopping"), deadline=10, what="the stop to begin")


@contextlib.contextmanager
def serving(folder: Path, timeout: float, app: Path | str = APP) -> Iterator[Server]:
    """A server that lets its end be held up for ``timeout`` seconds."""
    settings = {"process": {"stop_timeout": timeout}}
    with running(folder, app=app, workers=2, settings=settings) as server:
        yield server


def test_running_requests_are_answered_and_new_ones_taken(tmp_path: Path) -> None:
    with serving(tmp_path, 40) as server, Raw(server.address) as client:
        began = time.monotonic()
        send(client, SLEEP, 2.5)
        stopping(server)
        send(client, "return 'new'", sync=2)

        assert [(p.sync, p.data) for p in (client.packet(), client.packet())] == [
            (2, ["new"]),
            (1, ["slept"]),
        ]
        client.wait_closed()
        assert server.process.wait(20) == 0
        assert time.monotonic() - began < 20


def test_what_another_worker_waits_for_is_done(tmp_path: Path) -> None:
    source = """
        local other = 1 - box.workers.id()
        local source = "require('fiber').sleep(0.5) return 'fine'"
        return box.workers.eval(source, {}, {target = other})[1][1]
        """
    with serving(tmp_path, 20) as server, Raw(server.address) as client:
        send(client, source)
        client.ping()
        stopping(server)

        assert client.packet().data == ["fine"]
        assert server.process.wait(10) == 0


def test_what_outlasts_the_time_is_cancelled(tmp_path: Path) -> None:
    with serving(tmp_path, 0.3) as server, Raw(server.address) as client:
        send(client, SLEEP, 3600)
        stopping(server)
        answer = client.packet()

        assert (answer.code, answer.text) == (32, "fiber is cancelled")
        client.wait_closed()
        assert server.process.wait(10) == 0


FAREWELL = """
box.session.on_disconnect(function()
  local fiber = require('fiber')
  if box.session.storage.slow then
    print('CUT', pcall(fiber.sleep, 60))
  else
    fiber.sleep(0.5)
    print('DONE', box.session.id(), box.session.reason())
  end
end)
"""


def test_on_disconnect_has_its_share_beside_a_request_that_waits(tmp_path: Path) -> None:
    settings = {"process": {"stop_timeout": 7}}
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(running(tmp_path, app=FAREWELL, workers=1, settings=settings))
        clients = [stack.enter_context(Raw(server.address)) for _ in range(6)]
        send(clients[0], SLEEP, 60)
        server.stop()

        answer = clients[0].packet()
        assert (answer.code, answer.text) == (32, "fiber is cancelled")
        assert len(server.lines(r"DONE.*shutdown")) == 6
        assert server.lines("cut off") == server.lines("killing") == []


def test_on_disconnect_that_outlasts_the_time_is_named(tmp_path: Path) -> None:
    assert_within(4.5, lambda: outlasted(tmp_path))


def outlasted(folder: Path) -> float:
    """Seconds that the stop takes; when they are as promised, what has become of on_disconnect."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(running(folder, app=FAREWELL, workers=1))
        for number in range(4):
            client = stack.enter_context(Raw(server.address))
            client.eval("box.session.storage.slow = ...", number > 0)
        began = time.monotonic()
        server.stop()
        took = time.monotonic() - began

    assert took > 3
    if took < 4.5:
        assert len(server.lines("DONE")) == 1
        assert len(server.lines(r"CUT.*fiber is cancelled")) == 3
        (warning,) = server.lines("cut off")
        assert "3 on_disconnect cut off" in warning
        assert server.lines("killing") == server.lines("rror") == []
    return took


ARRIVING = """
box.session.on_connect(function() print('CAME') require('fiber').sleep(60) end)
box.session.on_disconnect(function() print('LEFT', box.session.reason(), box.session.id()) end)
"""


def test_clients_whose_on_connect_waits_are_told(tmp_path: Path) -> None:
    settings = {"process": {"stop_timeout": 6}}
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(running(tmp_path, app=ARRIVING, workers=1, settings=settings))
        early, silent, gone = (
            stack.enter_context(socket.create_connection(server.address, 10)) for _ in range(3)
        )
        early.sendall(request({0: PING, 1: 7}))
        wait_until(lambda: len(server.lines("CAME")) == 3, 10, "on_connect of all")
        gone.close()
        server.stop()

        for client in (early, silent):
            came = b""
            while chunk := client.recv(4096):
                came += chunk
            assert came.startswith(b"Tarantool ")
            answer = decode(came[GREETING_SIZE:][:5], came[GREETING_SIZE + 5 :])
            assert (answer.code, answer.text) == (32, "fiber is cancelled")
        assert len(server.lines(r"LEFT.*shutdown")) == 2
        assert len(server.lines(r"LEFT.*client")) == 1
        assert server.lines("cut off") == server.lines("killing") == []


def test_a_new_connection_is_not_greeted(tmp_path: Path) -> None:
    with serving(tmp_path, 40) as server, Raw(server.address) as client:
        send(client, SLEEP, 4)
        acceptor = [each for each in server.children() if "acceptor" in " ".join(each.cmdline())]
        assert len(acceptor) == 1
        stopping(server)
        wait_until(lambda: not alive(acceptor), deadline=10, what="the end of the acceptor")
        with socket.create_connection(server.address, timeout=10) as late:
            client.packet()
            with contextlib.suppress(ConnectionResetError):
                assert late.recv(128) == b""


def test_shutdown_functions_run_in_every_worker(tmp_path: Path) -> None:
    app = """
        local fiber, log = require('fiber'), require('log')
        box.ctl.on_shutdown(function()
          fiber.sleep(0.2)
          log.info('worker %d says goodbye', box.info.worker.id)
        end)
        """
    with serving(tmp_path, 10, app) as server:
        server.stop()
        assert len(server.lines("worker [01] says goodbye")) == 2


def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    with serving(tmp_path, 60) as server, Raw(server.address) as client:
        send(client, SLEEP, 3600)
        stopping(server)
        server.send_signal(signal.SIGINT)

        assert server.process.wait(10) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_server_stops_at_once(tmp_path: Path, number: signal.Signals) -> None:
    with serving(tmp_path, 60) as server, Raw(server.address) as client:
        client.ping()
        began = time.monotonic()
        server.stop(number)
        assert time.monotonic() - began < 10
