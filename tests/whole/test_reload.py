"""SIGHUP: settings are read again, and what can change does."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import yaml

from tests.helpers.raw import Raw
from tests.helpers.server import Server, running
from tests.helpers.wait import wait_until

LIMIT = "return box.cfg.net_msg_max"


def configure(server: Server, settings: dict[str, Any]) -> None:
    """Write the settings' file anew."""
    (server.folder / "config.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")


def reload(server: Server, pattern: str) -> str:
    """Ask for a reload; the first new line of the log that matches."""
    known = len(server.lines(pattern))
    server.send_signal(signal.SIGHUP)
    wait_until(lambda: len(server.lines(pattern)) > known, 20, pattern)
    return server.lines(pattern)[known]


def test_live_settings(tmp_path: Path) -> None:
    app = "function spin() local t = 0 while true do pcall(error) t = t + 1 end end"
    with running(tmp_path, app=app, settings={}) as server, Raw(server.address) as client:
        workers = client.eval("return box.workers.eval('return box.info.pid')").data[0]
        configure(
            server,
            {
                "iproto": {"net_msg_max": 12, "listen": 3999},
                "limits": {"request_time": 0.3},
                "log": {"level": "verbose"},
                "security": {"password_min_length": 9},
                "credentials": {"users": {"ann": {"password": "long enough"}}},
            },
        )
        line = reload(server, "supervisor I> settings reloaded")

        assert "live=iproto.net_msg_max,limits.request_time,log.level" in line
        # The command line has the address, and goes over the file.
        assert "needs_restart" not in line
        assert "made=user ann" in line
        wait_until(lambda: client.eval(LIMIT).data == [12], 10, "the setting in a worker")
        found = client.eval(f"return box.workers.eval('{LIMIT}')").data[0]
        assert found == [[12], [12]]
        assert client.eval("return box.workers.eval('return box.info.pid')").data[0] == workers
        assert client.call("spin").text.endswith("limits.request_time (0.3 s)")
        weak = client.eval("box.schema.user.create('bob', {password = 'short'})").text
        assert "at least 9 characters" in weak
        assert client.eval("return box.schema.user.exists('ann')").data == [True]
        client.eval("require('log').verbose('now it is said')")
        wait_until(lambda: server.lines("V> now it is said"), 10, "a verbose line")


def test_settings_with_faults_change_nothing(tmp_path: Path) -> None:
    with running(tmp_path, settings={}) as server, Raw(server.address) as client:
        configure(server, {"iproto": {"net_msg_max": 12}, "session": {"nosuch": 1}})
        line = reload(server, "supervisor E> not reloaded")

        assert "session.nosuch: got a value, expected one of the keys" in line
        assert client.eval(LIMIT).data == [768]
        configure(server, {"iproto": {"net_msg_max": 12}, "session": {"limits": {"total": 99}}})
        line = reload(server, "supervisor I> settings reloaded")
        assert "live=iproto.net_msg_max needs_restart=session.limits.total" in line
