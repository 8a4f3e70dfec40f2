"""``beespace top`` on a running server, on one that hangs, and on none."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path

from server.cli.watching import Watched
from server.onlooker import Onlooker
from tests.helpers.commands import beespace, stopped
from tests.helpers.raw import Raw
from tests.helpers.server import ROOT, Server, environment
from tests.whole.conftest import Start, await_gone


def own_id(client: Raw) -> int:
    return int(client.call("box.session.id").data[0])


def once(server: Server, *arguments: str) -> list[str]:
    done = beespace("top", "--once", "--interval", "0.2", *arguments, run_dir=server.folder / "run")
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_once(shared: Server) -> None:
    with contextlib.ExitStack() as stack:
        ids = [own_id(stack.enter_context(Raw(shared.address))) for _ in range(2)]
        lines = once(shared, *(f"id={each}" for each in ids), "--sort", "id")
    assert lines[0].startswith(f"default  running  process {shared.pid}  up ")
    assert re.match(r"sessions \d+ of 65,536  new/s ", lines[1])
    workers = [line.split() for line in lines if re.match(r" +[01] +\d+ +ready", line)]
    assert [row[0] for row in workers] == ["0", "1"]
    start = next(at for at, line in enumerate(lines) if line.split()[:2] == ["id", "user"])
    assert [line.split()[0] for line in lines[start + 1 :]] == [str(each) for each in sorted(ids)]


def test_a_server_that_hangs_is_seen_all_the_same(start: Start) -> None:
    server = start()
    family = [server.pid, *(each.pid for each in server.children())]
    with Raw(server.address) as client:
        own = own_id(client)
        with stopped(family):
            lines = once(server)
    assert sum(" stopped " in line for line in lines) == 2
    assert any(line.split()[:2] == [str(own), "guest"] for line in lines)


def test_what_the_screen_kills_ends(shared: Server) -> None:
    place = shared.folder / "run"
    with (
        Raw(shared.address) as client,
        Raw(shared.address) as other,
        Onlooker(place) as onlooker,
    ):
        watched, own = Watched(place, onlooker), own_id(client)
        assert watched.kill(own) == f"session {own} killed"
        client.wait_closed()
        await_gone(other, own)
        assert watched.kill(own) == f"session {own} is not there"


def test_nobody_there(tmp_path: Path) -> None:
    done = beespace("top", "--once", run_dir=tmp_path)
    assert done.returncode == 3
    assert done.stderr == f"beespace: no server runs in {tmp_path}; give --run-dir or --name\n"


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    for wrong, complaint in (
        (["colour=red"], "filter: got 'colour', expected one of "),
        (["name=a b", "colour=red"], "filter: got 'colour', expected one of "),
        (["--sort", "size"], "--sort: got 'size', expected one of "),
    ):
        done = beespace("top", *wrong, run_dir=tmp_path)
        assert done.returncode == 2
        assert done.stderr.startswith(f"beespace: {complaint}")


def test_the_screen_comes_up_and_is_left(shared: Server) -> None:
    main, other = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "server", "top", "--run-dir", str(shared.folder / "run")],
        cwd=ROOT,
        env=environment() | {"TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"},
        stdin=other,
        stdout=other,
        stderr=other,
        start_new_session=True,
    ) as process:
        os.close(other)
        try:
            seen = _read_until(main, b"sessions by requests")
            assert b"requests/s" in seen
            os.write(main, b"q")
            _drain(main)
            assert process.wait(10) == 0
        finally:
            process.kill()
            os.close(main)


def _read_until(descriptor: int, wanted: bytes) -> bytes:
    seen, deadline = b"", time.monotonic() + 20
    while wanted not in seen and time.monotonic() < deadline:
        seen += os.read(descriptor, 65536)
    assert wanted in seen
    return seen


def _drain(descriptor: int) -> None:
    """Read on until the other end is closed."""
    with contextlib.suppress(OSError):
        while os.read(descriptor, 65536):
            pass
