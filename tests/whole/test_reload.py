"""SIGHUP: settings are read again, what can change does, and new workers load the application."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from tests.helpers.raw import Raw
from tests.helpers.server import Server, running
from tests.helpers.wait import wait_until
from tests.whole.crews import Crew

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
        everywhere = f"return box.workers.eval('{LIMIT}')"
        wait_until(
            lambda: all(each == [12] for each in client.eval(everywhere).data[0]),
            10,
            "the setting in all workers",
        )
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


def write_app(server: Server, text: str) -> None:
    """Another application in the place of the first."""
    (server.folder / "app.lua").write_text(text, encoding="utf-8")


def ask(client: Raw, source: str) -> Any:
    """What a source returns, by one value."""
    return client.eval(f"return {source}").data[0]


DONE = "supervisor I> reload: done"
CREW = "box.workers.eval('return version, box.workers.id()')"


class Traffic:
    """A second client's requests, on sessions of its own, until it is told to stop."""

    def __init__(self, server: Server) -> None:
        self.answers = 0
        self.failures: list[str] = []
        self._server = server
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            with Raw(self._server.address) as stays:
                while not self._over.is_set():
                    with Raw(self._server.address) as comes:
                        for client in (stays, comes):
                            answer = client.eval("return box.session.exists()")
                            if answer.data != [1]:
                                self.failures.append(answer.text)
                            self.answers += 1
        except OSError as error:
            self.failures.append(repr(error))


def test_new_workers_with_the_new_application_and_old_ones_that_drain(tmp_path: Path) -> None:
    app = "version = 1 box.session.on_connect(function() box.session.storage.by = version end)"
    with running(tmp_path, app=app) as server, Traffic(server) as traffic:
        with contextlib.ExitStack() as stack:
            # In each of them somebody stays.
            old = Crew(server, stack, 2)[0]
            assert ask(old, "box.session.storage.by") == 1
            mine = ask(old, "box.session.id()")
            write_app(server, app.replace("version = 1", "version = 2"))
            reload(server, DONE)

            with Raw(server.address) as new:
                assert ask(new, "box.session.storage.by") == 2
                assert ask(new, f"box.session.exists({mine})") == 1
                assert ask(old, "version") == 1
                assert ask(old, "box.session.storage.by") == 1
                assert ask(new, "box.workers.count()") == 2
                assert ask(new, CREW)[:2] == [[2, 0], [2, 1]]
                assert [1, ask(old, "box.workers.id()")] in ask(new, CREW)[2:]
                assert len(ask(new, CREW)) == 4
                assert ask(old, CREW) == ask(new, CREW)
                old.eval("box.session.on_connect(function() box.session.storage.more = 7 end)")
                with Raw(server.address) as later:
                    assert ask(later, "{box.session.storage.by, box.session.storage.more}") == [
                        2,
                        7,
                    ]
                number = ask(new, "box.session.id()")
                assert ask(old, f"box.session.push_to({number}, 'hello')") is True
                assert ask(new, "box.session.receive(5)") == ["hello"]
        with Raw(server.address) as new:
            wait_until(lambda: len(server.lines("old worker ended")) >= 1, 20, "the end of one")
            reload(server, DONE)
            assert ask(new, "version") == 2
        wait_until(lambda: traffic.answers > 200, 20, "traffic")
    assert traffic.failures == []
    assert server.lines(" E> ") == []


def test_an_application_that_fails_leaves_the_old_one_in_place(tmp_path: Path) -> None:
    with running(tmp_path, app="version = 1") as server, Raw(server.address) as client:
        pids = server.worker_pids()
        write_app(server, "\nerror('not this one')")
        line = reload(server, "supervisor E> reload: failed")

        assert "app.lua:2: not this one" in line
        assert server.worker_pids() == pids
        assert ask(client, "version") == 1
        write_app(server, "version = 3")
        reload(server, DONE)
        assert sorted(server.worker_pids()) == [0, 1]
        assert not set(server.worker_pids().values()) & set(pids.values())
        assert ask(client, "version") == 1


def test_new_workers_of_a_reload_that_fails_are_not_called_old(tmp_path: Path) -> None:
    with running(tmp_path, app="version = 1") as server:
        write_app(server, "if box.info.worker.id == 1 then error('not this one') end")
        reload(server, "supervisor E> reload: failed")
        ended = r"new worker ended worker=0 reason=killed by signal 9 sessions=0"
        wait_until(lambda: server.lines(ended), 20, "the end of the one that was ready")
        wait_until(lambda: server.lines("new worker ended worker=1 reason=exit code 3"), 20, "both")
        assert server.lines("old worker") == []


def test_old_workers_end_when_their_time_is_over(tmp_path: Path) -> None:
    settings = {"workers": {"drain_timeout": 0.5}}
    app = "box.session.on_disconnect(function() print('ended by ' .. box.session.reason()) end)"
    with running(tmp_path, app=app, settings=settings) as server:
        with Raw(server.address) as client:
            client.ping()
            reload(server, DONE)
            client.wait_closed()
        wait_until(lambda: len(server.lines("old worker ended .*code 0")) == 2, 20, "their ends")
        assert len(server.lines("ended by shutdown")) == 1
        assert len(server.lines("workers.drain_timeout is over.* sessions=1")) == 1


def test_signals_change_the_number_of_workers(tmp_path: Path) -> None:
    settings = {"workers": {"max": 3}}
    with running(tmp_path, workers=1, settings=settings) as server, Raw(server.address) as client:
        for number, pattern, count in (
            (signal.SIGTTIN, "I> one worker more: done workers=2", 2),
            (signal.SIGTTIN, "I> one worker more: done workers=3", 3),
            (signal.SIGTTIN, "E> one worker more: failed.*0 are free", 3),
            (signal.SIGTTOU, "I> one worker fewer: done workers=2", 2),
            (signal.SIGTTOU, "I> one worker fewer: done workers=1", 1),
            (signal.SIGTTOU, "E> one worker fewer: failed.*one worker is the least", 1),
        ):
            server.send_signal(number)
            wait_until(partial(server.lines, pattern), 20, pattern)
            assert ask(client, "box.workers.count()") == count
            wait_until(partial(serve, server, count), 10, "who serves")
        wait_until(lambda: len(server.lines("old worker ended")) == 2, 20, "the ends")
        before = server.worker_pids()
        server.send_signal(signal.SIGUSR2)
        wait_until(lambda: server.lines("restart of workers: done"), 20, "a restart")
        wait_until(lambda: server.worker_pids() != before, 10, "others in their place")


def serve(server: Server, count: int) -> bool:
    """Whether so many workers get connections."""
    return sorted(server.worker_pids()) == list(range(count))


def test_a_worker_that_dies_while_it_drains_is_not_replaced(tmp_path: Path) -> None:
    with running(tmp_path, app="version = 1") as server, Raw(server.address) as client:
        pid = ask(client, "box.info.pid")
        reload(server, DONE)
        server.send_signal(signal.SIGHUP)
        os.kill(pid, signal.SIGKILL)
        client.wait_closed()
        wait_until(lambda: server.lines("old worker ended .*signal 9 sessions=1"), 20, "its end")
        wait_until(lambda: len(server.lines(DONE)) == 2, 20, "another reload")
        assert sorted(server.worker_pids()) == [0, 1]
