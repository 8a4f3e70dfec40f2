"""Applications: their modules, their output, and what they cannot reach."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.raw import Raw
from tests.helpers.server import DATA, ROOT, Server, environment, running
from tests.helpers.wait import wait_until
from tests.whole.conftest import Start
from tests.whole.crews import Crew


def test_module_of_its_own_folder(client: Raw) -> None:
    assert client.call("hello", "bee").data == ["hello, bee"]


def test_application_runs_once_in_every_worker(start: Start) -> None:
    server = start(app="loads = (loads or 0) + 1\nprint('loaded here')\n", workers=2)
    with Raw(server.address) as one, Raw(server.address) as two:
        assert [c.eval("return loads").data for c in (one, two)] == [[1], [1]]
    assert len(server.lines(r"worker-[01] I> loaded here$")) == 2


def test_globals_are_each_workers_own(start: Start) -> None:
    server = start(workers=2)
    with contextlib.ExitStack() as stack:
        crew = Crew(server, stack, 2)
        one, two = crew[0], crew[1]
        one.eval("mine = 5")
        assert one.eval("return mine").data == [5]
        assert two.eval("return mine").data == [None]


def test_nothing_is_loaded_from_the_current_folder(start: Start, tmp_path: Path) -> None:
    traps = ["trap", "json", "whole_module", "beespace.trap", "lib.trap"]
    for name in traps:
        path = tmp_path / "elsewhere" / (name.replace(".", "/") + ".lua")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("error('the trap is shut', 0)\n")
    server = start(app=DATA / "whole_app.lua", workers=1, cwd=tmp_path / "elsewhere")
    with Raw(server.address) as client:
        source = "local ok, e = pcall(require, ...) return ok, tostring(e)"
        told = {name: client.eval(source, name).data for name in traps}
    assert [name for name, (loaded, _) in told.items() if loaded] == ["json", "whole_module"]
    for name in ("trap", "beespace.trap", "lib.trap"):
        assert f"module '{name}' not found" in told[name][1]


def test_python_is_out_of_reach(client: Raw) -> None:
    source = "return type(python), type(package.loaded.python), type(package.loaded.lupa)"
    assert client.eval(source).data == ["nil", "nil", "nil"]


@pytest.fixture(scope="module")
def logging_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose log the tests below search."""
    with running(tmp_path_factory.mktemp("logging"), workers=1) as server:
        yield server


def test_print_goes_to_the_log(logging_server: Server) -> None:
    server = logging_server
    with Raw(server.address) as client:
        number, pid = client.eval("return box.session.id(), box.info.pid").data
        client.eval("print('printed', 1, nil, true)")
        wait_until(lambda: server.lines("printed"), what="the line")
    line = server.lines("printed")[0]
    assert f"[{pid}] worker-0/{number} I> printed" in line
    assert line.split("printed")[1].replace("\\t", " ").split() == ["1", "nil", "true"]


def test_log_lines(logging_server: Server) -> None:
    server = logging_server
    with Raw(server.address) as client:
        number = client.call("box.session.id").data[0]
        client.eval(
            "local log = require('log') log.debug('too low') log.error('bad %s %d', 'bee', 5)"
            " log.warn('odd') log.info('plain %%') log.info({a = 1})"
        )
        wait_until(lambda: server.lines(r'I> .*"?a"?'), what="the last line")
    for pattern in (r"E> bad bee 5$", r"W> odd$", r"I> plain %"):
        assert len(server.lines(rf"worker-0/{number} {pattern}")) == 1, server.log
    assert server.lines("too low") == []


def test_one_line_a_message(logging_server: Server) -> None:
    server = logging_server
    with Raw(server.address) as client:
        client.eval("print('first\\nsecond forged I> line')")
        wait_until(lambda: server.lines("forged"), what="the line")
    assert len(server.lines("first.*second forged")) == 1


def test_json_log(start: Start) -> None:
    server = start(workers=1, arguments=["--log-format", "json"])
    with Raw(server.address) as client:
        number, pid = client.eval("return box.session.id(), box.info.pid").data
        client.eval("print('printed \"quoted\"')")
        wait_until(lambda: server.lines("printed"), what="the line")
    server.stop()
    lines = [json.loads(line) for line in server.log.splitlines()]
    assert all({"time", "level", "message", "pid", "role"} <= set(line) for line in lines)
    line = next(line for line in lines if line["message"].startswith("printed"))
    assert line["message"] == 'printed "quoted"'
    assert (line["level"], line["pid"], line["role"]) == ("info", pid, "worker-0")
    assert line["session"] == number


def test_the_quickstart_of_the_readme(start: Start) -> None:
    """The block that talks to the server runs as it stands, but for the port."""
    server = start(app=ROOT / "examples" / "hello.lua", workers=2, open_to_guests=False)
    block = quickstart((ROOT / "README.md").read_text(encoding="utf-8"))
    assert "3301" in block
    done = subprocess.run(
        [sys.executable, "-c", block.replace("3301", str(server.port))],
        capture_output=True,
        text=True,
        timeout=20,
        env=environment(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def quickstart(readme: str) -> str:
    """The fenced block of Python that has the line ``# talk to it``."""
    blocks = [block.partition("```")[0] for block in readme.split("```python\n")[1:]]
    found = [block for block in blocks if "# talk to it" in block]
    assert len(found) == 1, f"{len(found)} blocks talk to it"
    return found[0]


def test_messages_of_a_starting_server_are_not_errors(shared: Server) -> None:
    assert shared.lines(r" [EC]> ") == []


def test_the_application_knows_the_addresses(shared: Server, client: Raw) -> None:
    (listed,) = client.eval("return box.cfg.listen").data

    wanted = {a if isinstance(a, str) else str(a[1]) for a in shared.addresses}
    assert {each.removeprefix("unix/:").rpartition(":")[2] for each in listed} == wanted
