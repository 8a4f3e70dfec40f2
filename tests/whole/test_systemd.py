"""Under systemd, which the tests play: messages, watchdog, sockets that are given."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil

from tests.helpers.server import refused, running
from tests.helpers.systemd import Systemd
from tests.helpers.wait import wait_until

VARIABLES = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}


def test_a_life_in_messages(tmp_path: Path) -> None:
    with Systemd(tmp_path) as manager, running(tmp_path, manager=manager) as server:
        wait_until(lambda: "STATUS=workers: 2 ready" in manager.messages, 10, "status")
        assert manager.messages == ["STATUS=starting", "READY=1", "STATUS=workers: 2 ready"]

        server.send_signal(signal.SIGHUP)
        wait_until(lambda: manager.messages.count("READY=1") == 2, 20, "end of the reload")
        assert manager.messages[3].startswith("RELOADING=1\nMONOTONIC_USEC=")
        assert server.lines("reload: done")
        wait_until(lambda: manager.messages[-1] == "STATUS=workers: 2 ready", 10, "old ones gone")

        server.send_signal(signal.SIGTTIN)
        wait_until(lambda: manager.messages[-1] == "STATUS=workers: 3 ready", 20, "one more")

        server.stop()
        assert manager.messages[-2:] == ["STOPPING=1", "STATUS=stopping"]
        assert [message for message in manager.messages if "WATCHDOG" in message] == []
        assert server.lines("service manager") == []


def test_a_start_that_fails_is_told(tmp_path: Path) -> None:
    with Systemd(tmp_path) as manager:
        code, _ = refused(tmp_path, manager=manager, app="error('no bees')")
        assert code == 1
        assert "READY=1" not in manager.messages
        assert "STOPPING=1" in manager.messages
        assert "no bees" in manager.messages[-1]


def test_the_watchdog_is_fed_while_any_worker_turns(tmp_path: Path) -> None:
    with (
        Systemd(tmp_path, watchdog=0.6) as manager,
        running(tmp_path, manager=manager) as server,
    ):

        def fed() -> int:
            return manager.messages.count("WATCHDOG=1")

        for process in [psutil.Process(server.pid), *server.children()]:
            assert VARIABLES & process.environ().keys() <= (
                VARIABLES if process.pid == server.pid else set()
            )
        wait_until(lambda: fed() >= 3, 10, "signs of life")
        first, second = server.worker_pids().values()
        os.kill(first, signal.SIGSTOP)
        before = fed()
        # Longer than the patience for workers of which none turns.
        wait_until(lambda: fed() - before >= 14, 20, "signs of life with one worker")
        os.kill(second, signal.SIGSTOP)
        wait_until(lambda: server.lines("E> no worker turns"), 20, "silence")
        silent = fed()
        os.kill(second, signal.SIGCONT)
        wait_until(lambda: fed() > silent, 10, "signs of life again")
        os.kill(first, signal.SIGCONT)
        assert len(server.lines("E> no worker turns")) == 1
