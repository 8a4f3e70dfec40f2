"""``beespace sessions``: what it shows of a server that works, stands still, or is not there."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.commands import beespace, stopped, told
from tests.helpers.raw import Raw
from tests.helpers.server import ROOT, Server, environment
from tests.helpers.terminal import CTRL_C, Terminal
from tests.helpers.wait import wait_until
from tests.whole.conftest import Start
from tests.whole.crews import spread

CLOCKS = {"age", "idle"}
"""Fields that differ from one moment to the next."""


@contextlib.contextmanager
def clients(server: Server, count: int) -> Iterator[list[Raw]]:
    """Sessions of guest, greeted and asked once."""
    with contextlib.ExitStack() as stack:
        made = [stack.enter_context(Raw(server.address)) for _ in range(count)]
        for client in made:
            client.ping()
        yield made


def sessions(server: Server, *words: str) -> list[dict[str, Any]]:
    found = told(server, "sessions", *words)["sessions"]
    assert isinstance(found, list)
    return found


def ids(server: Server, *words: str) -> list[int]:
    return [row["id"] for row in sessions(server, *words)]


def number(client: Raw) -> int:
    return int(client.call("box.session.id").data[0])


TABLE = r""" *id +type    user   peer +worker  state +age +idle  requests  in flight +in +out
 *\d+  binary  guest  127\.0\.0\.1:\d+ +[01]  live +\d+\.\d s +\d+\.\d s +2          0  \d+ B  \d+ B
 *\d+  binary  guest  127\.0\.0\.1:\d+ +[01]  live +\d+\.\d s +\d+\.\d s +2          0  \d+ B  \d+ B

2 sessions
"""


def test_what_people_see(shared: Server) -> None:
    with clients(shared, 2) as made:
        mine = [word for client in made for word in ("--id", str(number(client)))]
        done = beespace("sessions", *mine, run_dir=shared.folder / "run")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(TABLE, done.stdout), done.stdout


def test_characters_that_the_terminal_does_not_have(shared: Server) -> None:
    with clients(shared, 1) as (client,):
        client.eval("box.session.set_name('\u65e5\u00e4')")
        mine = ("sessions", "--id", str(number(client)))
        done = beespace(*mine, run_dir=shared.folder / "run", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1].endswith(r"  \u65e5\xe4")


def test_json_has_a_session_a_line(shared: Server) -> None:
    with clients(shared, 2) as made:
        mine = those(sorted(number(client) for client in made))
        done = beespace("sessions", *mine, "--json", run_dir=shared.folder / "run")
    first, *rows, last = done.stdout.splitlines()
    assert (first, last) == ('{"count": 2, "sessions": [', "]}")
    assert [json.loads(row.removesuffix(","))["id"] for row in rows] == [
        row["id"] for row in json.loads(done.stdout)["sessions"]
    ]
    done = beespace("sessions", "--worker", "7", "--json", run_dir=shared.folder / "run")
    assert json.loads(done.stdout) == {"count": 0, "sessions": []}


def test_the_same_as_lua_tells(start: Start) -> None:
    server = start(workers=2)
    with clients(server, 3), Raw(server.control) as admin, Raw(server.control) as ada:
        admin.eval("box.schema.user.create('ada')")
        ada.eval("box.session.set_name('shop') box.session.set_attr('till', '2')")
        ada.eval("box.session.su('ada')")
        shown = {row["id"]: row for row in sessions(server)}
        (listed,) = admin.eval("return box.session.list()").data
        assert [row["id"] for row in listed] == sorted(shown)
        assert [row["user"] for row in listed].count("guest") == 3
        for other in listed:
            row = {key: value for key, value in shown[other["id"]].items() if value is not None}
            same = row.keys() - CLOCKS
            if other["user"] == "admin":
                same -= {"requests", "bytes_in", "bytes_out", "in_flight"}
            assert {key: row[key] for key in same} == {key: other[key] for key in same}
            assert row.keys() == other.keys()
            assert 0 <= other["age"] - row["age"] < 20
        (named,) = sessions(server, "--session-name", "shop")
        assert (named["user"], named["attrs"]) == ("ada", {"till": "2"})


def test_filters_order_and_pages(shared: Server) -> None:
    with contextlib.ExitStack() as stack:
        made = spread(shared, stack, 2, each=2)
        numbers = sorted(number(client) for clients in made.values() for client in clients)
        mine = [word for each in numbers for word in ("--id", str(each))]
        assert ids(shared, *mine) == numbers
        assert ids(shared, *mine, "--sort", "-id", "--limit", "2") == numbers[:1:-1]
        assert ids(shared, *mine, "--after", str(numbers[1])) == numbers[2:]
        by_worker = [ids(shared, *mine, "--worker", str(worker)) for worker in (0, 1)]
        assert sorted(by_worker[0] + by_worker[1]) == numbers
        assert all(by_worker)
        assert ids(shared, *mine, "--user", "guest", "--peer", "127.0.0.0/8") == numbers
        assert ids(shared, *mine, "--not-peer", "127.0.0.1") == []
        peer = sessions(shared, "--id", str(numbers[0]))[0]["peer"]
        assert ids(shared, "--peer", peer) == numbers[:1]
        assert told(shared, "sessions", *mine, "--limit", "1")["count"] == 4


def test_sessions_that_have_ended(start: Start) -> None:
    server = start(workers=2)
    with Raw(server.control) as admin:
        with contextlib.ExitStack() as stack:
            made = spread(server, stack, 2, each=2)
            numbers = sorted(number(client) for clients in made.values() for client in clients)
            dead = ids(server, "--worker", "1", *those(numbers))
            pids = server.worker_pids()
            os.kill(pids[1], signal.SIGKILL)
            wait_until(lambda: not ids(server, *those(dead)), 15, "their end")
        wait_until(lambda: not ids(server, *those(numbers)), 15, "the end of all")
        rows = sessions(server, "--history", *those(numbers))
        assert sorted(row["id"] for row in rows) == numbers
        assert dead
        assert {row["id"] for row in rows if row["reason"] == "worker_died"} == set(dead)
        assert {row["reason"] for row in rows if row["id"] not in dead} == {"client"}
        assert [row["ended"] for row in rows] == sorted(
            (row["ended"] for row in rows), reverse=True
        )
        (listed,) = admin.eval("return box.session.history{id = ...}", numbers).data
        known = [{key: row[key] for key in row if row[key] is not None} for row in rows]
        assert [{**row, "age": 0} for row in known] == [{**row, "age": 0} for row in listed]


def those(numbers: list[int]) -> list[str]:
    return [word for number in numbers for word in ("--id", str(number))]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--state", "dead"), "--state: got 'dead', expected 'claimed' or 'live' or 'closing'"),
        (("--interval", "0"), "--interval: got '0', expected a number of seconds from 0.1 on"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_what_is_typed_wrong(shared: Server, words: tuple[str, ...], told: str) -> None:
    done = beespace("sessions", *words, run_dir=shared.folder / "run")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"beespace: {told}\n")


def test_a_user_that_the_server_does_not_have(shared: Server) -> None:
    done = beespace("sessions", "--not-user", "adda", run_dir=shared.folder / "run")
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(
        r"beespace: --not-user: got 'adda', expected one of .*admin, .*guest.*\n", done.stderr
    )


def test_no_server(tmp_path: Path) -> None:
    done = beespace("sessions", run_dir=tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == f"beespace: no server runs in {tmp_path}; give --run-dir or --name\n"


def test_a_server_that_was_killed_is_none(start: Start) -> None:
    server = start(workers=1)
    with stopped(child.pid for child in server.children()):
        os.kill(server.pid, signal.SIGKILL)
        wait_until(lambda: server.process.poll() is not None, 5, "its end")
        assert beespace("sessions", run_dir=server.folder / "run").returncode == 3


def test_watching_on_a_terminal_until_ctrl_c(shared: Server, tmp_path: Path) -> None:
    words = ("sessions", "--run-dir", str(shared.folder / "run"), "--watch", "--interval", "0.1")
    with Raw(shared.address) as first, Raw(shared.address) as second:
        mine = ("--id", str(number(first)), "--id", str(number(second)))
        with Terminal(*words, *mine, state=tmp_path) as terminal:
            wait_until(lambda: terminal.lines[-1:] == ["2 sessions"], 20, "both")
            second.close()
            wait_until(lambda: terminal.lines[-1:] == ["1 session"], 20, "the one that is left")
            assert terminal.lines[0].split()[:4] == ["id", "type", "user", "peer"]
            terminal.type(CTRL_C)
            assert terminal.wait_for_end() == 0


def test_watching_ends_with_its_reader_and_with_its_server(start: Start) -> None:
    server = start(workers=1)
    words = [sys.executable, "-m", "server", "sessions", "--watch", "--interval", "0.1", "--json"]
    words += ["--run-dir", str(server.folder / "run")]
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with (
        subprocess.Popen(words, cwd=ROOT, env=environment(), **piped) as read,  # type: ignore[call-overload]
        subprocess.Popen(words, cwd=ROOT, env=environment(), **piped) as deaf,  # type: ignore[call-overload]
    ):
        for watching in (read, deaf):
            assert json.loads(watching.stdout.readline()) == {"count": 0, "sessions": []}
        deaf.stdout.close()
        assert deaf.wait(10) == -signal.SIGPIPE
        server.stop()
        _, complaint = read.communicate(timeout=10)
        assert (read.returncode, deaf.stderr.read()) == (3, b"")
        assert complaint.startswith(b"beespace: no server runs in ")
