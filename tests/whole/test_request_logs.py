"""Slow requests and the access log of a server: what is said of a request, and what is not."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.helpers.raw import Raw
from tests.helpers.server import Server, running
from tests.helpers.text_console import TextConsole
from tests.helpers.wait import wait_until
from tests.whole.test_reload import configure

APP = """
local clock, fiber = require('clock'), require('fiber')
function spin(seconds)
  local over = clock.monotonic() + seconds
  while clock.monotonic() < over do end
end
function nap(seconds) fiber.sleep(seconds) end
"""
SLOW = r"worker-0/{} W> slow request user=guest peer={} request={} ms=\d+"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("request_logs")
    settings = {"log": {"slow_request": 0.2}}
    with running(folder, app=APP, workers=1, settings=settings) as made:
        yield made


@pytest.mark.parametrize("name", ["spin", "nap"])
def test_a_slow_request_is_named(server: Server, name: str) -> None:
    with Raw(server.address) as client:
        number = client.eval("return box.session.id()").data[0]
        pattern = SLOW.format(number, client.name, f"call {name}")
        called = 0
        while not server.lines(pattern):
            # Who looks beside the loop may not have had its turn meanwhile.
            assert called < 5, server.log
            called += 1
            client.call(name, 0.3)
            await_line(server, pattern)
        lines = server.lines(f"slow request .*peer={client.name} request=call")
        assert 1 <= len(lines) <= called


def await_line(server: Server, pattern: str, count: int = 1) -> bool:
    """Whether there are so many lines soon."""
    with contextlib.suppress(AssertionError):
        wait_until(lambda: len(server.lines(pattern)) >= count, 2)
    return len(server.lines(pattern)) >= count


def test_a_source_with_a_password_is_not_shown(server: Server) -> None:
    with Raw(server.address) as client:
        client.eval("nap(0.3) local password = 'hunter2'")
        lines = f"slow request .*peer={client.name} request=eval .not shown"
        wait_until(lambda: len(server.lines(lines)) == 1, what=lines)
        for _ in range(5):
            client.eval("spin(0.3) local password = 'hunter2'")
            if await_line(server, lines, 2):
                break
        assert len(server.lines(lines)) >= 2, server.log
    assert "hunter2" not in server.log


def test_a_slow_statement_is_named(server: Server) -> None:
    with TextConsole(server.console) as console:
        console.send(b"nap(0.3)\n")
        line = "W> slow request user=admin peer=unix/:.socket. request=console: nap.0.3. ms="
        wait_until(lambda: server.lines(line), what=line)


def test_arguments_are_never_shown(server: Server) -> None:
    with Raw(server.address) as client:
        client.eval("nap(...)", 0.3, "a secret argument")
        wait_until(lambda: server.lines("request=eval nap.....  *ms="), what="its line")
    assert "a secret argument" not in server.log


def test_both_change_with_a_reload(tmp_path: Path) -> None:
    settings = {"log": {"slow_request": 0}}
    with (
        running(tmp_path, app=APP, workers=1, settings=settings) as server,
        Raw(server.address) as client,
    ):
        client.call("nap", 0.05)
        client.call("spin", 0.05)
        configure(server, {"log": {"slow_request": 0.03, "access": 1}})
        server.send_signal(signal.SIGHUP)
        live = "settings reloaded live=log.access,log.slow_request|live=log.slow_request,log.access"
        wait_until(lambda: server.lines(live), 20, live)
        wait_until(lambda: client.eval("return box.cfg.too_long_threshold").data == [0.03], 10)
        for name in ("nap", "spin"):
            line = f"W> slow request .*request=call {name} "
            # Who looks beside the loop may have begun a longer pause before.
            wait_until(partial(seen, server, client, name, line), what=line)
            line = f"I> request user=guest peer={client.name} request=call {name} outcome=ok ms="
            assert server.lines(line)
        assert server.lines("request=ping") == []


def seen(server: Server, client: Raw, name: str, line: str) -> bool:
    """Whether the log has the line after another call."""
    client.call(name, 0.06)
    return bool(server.lines(line))
