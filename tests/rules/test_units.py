"""The units and the Dockerfile of examples/: what they promise in comments is in them."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from server import given
from server.cli.command import app
from server.errors import ExitStatus
from server.settings import Settings, load
from tests.rules import sources

EXAMPLES = sources.ROOT / "examples"
SERVICE = EXAMPLES / "beespace.service"
SOCKET = EXAMPLES / "beespace.socket"
PROGRAM = "/opt/beespace/bin/beespace"


def unit(path: Path) -> configparser.ConfigParser:
    """A unit file; of a key that is there several times the last one, which systemd adds up."""
    parser = configparser.ConfigParser(
        strict=False, interpolation=None, delimiters=("=",), comment_prefixes=("#",)
    )
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(path.read_text())
    return parser


def command() -> list[str]:
    return unit(SERVICE)["Service"]["ExecStart"].split()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
@pytest.mark.timeout(60)
def test_systemd_understands_the_units(tmp_path: Path) -> None:
    for path in (SERVICE, SOCKET):
        # The program has to be there.
        text = path.read_text().replace(PROGRAM, sys.executable)
        (tmp_path / path.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / SERVICE.name)],
        capture_output=True,
        text=True,
        timeout=50,
    )
    complaints = [line for line in done.stderr.splitlines() if str(tmp_path) in line]
    assert complaints == []
    assert (done.returncode, "beespace" in done.stderr) == (0, False), done.stderr


def test_the_service_is_what_the_server_is_made_for() -> None:
    service = unit(SERVICE)["Service"]
    assert (service["Type"], service["NotifyAccess"]) == ("notify", "main")
    assert service["KillMode"] == "mixed"
    assert service["RestartPreventExitStatus"] == str(int(ExitStatus.SETTINGS))
    # LuaJIT's machine code, and the segment in /dev/shm.
    for forbidden in ("MemoryDenyWriteExecute", "RemoveIPC", "DynamicUser", "PrivateIPC"):
        assert forbidden not in service
    assert "@resources" not in service["SystemCallFilter"]


def test_its_times_and_limits_suit_the_defaults() -> None:
    service, settings = unit(SERVICE)["Service"], Settings()
    assert float(service["WatchdogSec"]) > settings.workers.hang_timeout
    assert float(service["TimeoutStopSec"]) > settings.process.stop_timeout + 2
    assert float(service["TimeoutStartSec"]) >= settings.workers.start_timeout
    assert int(service["LimitNOFILE"]) > settings.session.limits.total


def test_its_command_is_one_of_ours(tmp_path: Path) -> None:
    program, name, *words = command()
    assert (program, name) == (PROGRAM, "serve")
    (tmp_path / "app.lua").touch()
    file = tmp_path / "beespace.yaml"
    text = (EXAMPLES / "beespace.yaml").read_text()
    file.write_text(text.replace("/etc/beespace/app.lua", str(tmp_path / "app.lua")))
    group = typer.main.get_command(app)
    known = {option for part in group.commands[name].params for option in part.opts}  # type: ignore[attr-defined]
    flags = dict(zip(words[::2], words[1::2], strict=True))
    assert flags.keys() <= known
    assert flags["--config"] == "/etc/beespace/beespace.yaml"
    assert load({"config": str(file)}, {}).app.file == tmp_path / "app.lua"


def test_a_reload_that_fails_is_seen_by_systemd() -> None:
    """Not a signal, which always succeeds; the command finds the server of this unit."""
    words = command()
    place = words[words.index("--run-dir") : words.index("--run-dir") + 2]
    assert unit(SERVICE)["Service"]["ExecReload"].split() == [PROGRAM, "reload", *place]
    assert "reload" in typer.main.get_command(app).commands  # type: ignore[attr-defined]


def test_its_folders_are_those_it_owns() -> None:
    service, words = unit(SERVICE)["Service"], command()
    assert f"%t/{service['RuntimeDirectory']}" == words[words.index("--run-dir") + 1]
    assert f"%S/{service['StateDirectory']}" == words[words.index("--data-dir") + 1]
    assert service["RuntimeDirectoryPreserve"] == "yes"


def test_its_sockets_are_for_clients() -> None:
    found = unit(SOCKET)["Socket"]
    assert found["FileDescriptorName"] == given.CLIENTS
    assert found["BindIPv6Only"] == "ipv6-only"
    assert "Accept" not in found
    listen = re.findall(r"^ListenStream=(.*)$", SOCKET.read_text(), re.MULTILINE)
    assert listen == ["127.0.0.1:3301", "[::1]:3301"]


def dockerfile() -> list[str]:
    """Its instructions, one a line."""
    text = (EXAMPLES / "Dockerfile").read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_the_image_copies_what_is_there() -> None:
    copied = [line.split()[1:-1] for line in dockerfile() if line.startswith("COPY ")]
    ours = [name for words in copied for name in words if "--from" not in words[0]]
    assert set(sources.PRODUCT) < set(ours)
    assert [name for name in ours if not (sources.ROOT / name).exists()] == []


def test_the_image_runs_a_server_that_is_not_root() -> None:
    lines = dockerfile()
    assert lines.index("USER beespace") < lines.index('CMD ["beespace", "serve"]')
    assert "EXPOSE 3301" in lines
    (check,) = (line for line in lines if line.startswith("HEALTHCHECK "))
    assert check.endswith("CMD beespace status || exit 1")


def test_the_settings_of_the_image_are_settings(tmp_path: Path) -> None:
    (line,) = (line for line in dockerfile() if line.startswith("ENV "))
    given_here = dict(word.split("=", 1) for word in line.split()[1:] if "=" in word)
    del given_here["PATH"]
    (tmp_path / "app.lua").touch()
    settings = load({}, {**given_here, "BEESPACE_APP": str(tmp_path / "app.lua")})
    assert [str(uri) for uri in settings.iproto.listen] == ["0.0.0.0:3301"]
    assert str(settings.run_dir) == given_here["BEESPACE_RUN_DIR"]
    copied = [one.split()[1:] for one in dockerfile() if one.startswith("COPY examples/")]
    assert copied == [["examples/hello.lua", given_here["BEESPACE_APP"]]]
