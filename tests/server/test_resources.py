"""What a server holds: given back whole, also when opening stops half-way."""

from __future__ import annotations

import errno
import json
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from server.errors import ExitStatus, ServerError
from server.resources import RESERVE, opened
from server.settings import Settings, load
from shm import layout
from shm.catalog import snapshot
from shm.catalog.store import FILE, Store
from shm.segment import SHM_DIR, Segment


class Log:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.told: list[str] = []

    def warning(self, text: str, **fields: Any) -> None:
        self.warnings.append(f"{text} {fields}")

    def info(self, text: str, **fields: Any) -> None:
        self.told.append(f"{text} {fields}")


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., Settings]:
    def make(*listen: str) -> Settings:
        flags = {"run_dir": str(tmp_path / "run"), "data_dir": str(tmp_path / "data")}
        more = {"listen": list(listen or ["127.0.0.1:0"]), "max_sessions": "16", "workers": "2"}
        return load(flags | more, {})

    return make


def test_everything_is_there_and_given_back(
    settings: Callable[..., Settings], tmp_path: Path
) -> None:
    path = tmp_path / "bee.sock"
    with opened(settings("127.0.0.1:0", f"unix/:{path}"), Log()) as resources:
        name = resources.segment.name
        attached = Segment.attach(name)
        port = resources.listeners[0].socket.getsockname()[1]
        assert (attached.header.capacity, attached.header.workers) == (16 + RESERVE, 2)
        assert attached.header.reserved == RESERVE
        assert attached.header.listeners == 3
        assert attached.header.control_listener == 2
        assert attached.header.events_size == 8 << 20
        first = layout.Header.listener_names.offset
        names = bytes(attached.memory[first : first + 3 * layout.LISTENER_BYTES]).split(b"\0")
        assert names[0].decode() == f"127.0.0.1:{port}"
        control = tmp_path / "run" / "control.sock"
        uri = f"unix/:{control}"[: layout.LISTENER_BYTES - 1]
        assert [name.decode() for name in names if name][2] == uri
        assert resources.control.path == str(control)
        assert stat.S_IMODE(control.stat().st_mode) == 0o600
        state = json.loads((tmp_path / "run" / "server.json").read_text())
        assert (state["sockets"], state["control"]) == ([str(path)], str(control))
        attached.close()
        assert path.exists()
        assert (tmp_path / "data").is_dir()
    assert list((tmp_path / "run").iterdir()) == []
    assert not path.exists()
    assert not (SHM_DIR / name).exists()


def test_the_catalog_is_made_and_kept(settings: Callable[..., Settings], tmp_path: Path) -> None:
    for _ in range(2):
        with opened(settings(), Log()) as resources:
            assert resources.catalog == tmp_path / "data" / FILE
            assert stat.S_IMODE(resources.catalog.stat().st_mode) == 0o600
            Store.open(resources.catalog).close()
    assert resources.catalog.exists()


def test_credentials_are_applied_once(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("credentials: {users: {bob: {password: sesame}}}")
    flags = {"run_dir": str(tmp_path / "run"), "data_dir": str(tmp_path / "data")}
    made = load({**flags, "config": str(tmp_path / "c.yaml"), "listen": ["127.0.0.1:0"]}, {})
    log = Log()
    for _ in range(2):
        with opened(made, log) as resources:
            store = Store.open(resources.catalog)
            bob = snapshot.load(store)["principals"][-1]
            assert (bob[2], bob[5]) == ("bob", 1)
            store.close()
        assert log.told == [
            "applied the credentials of the settings {'made': 'user bob', 'passwords': 'bob'}"
        ]


def test_a_catalog_that_cannot_be_used(settings: Callable[..., Settings], tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    path = tmp_path / "data" / FILE
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(ServerError) as caught, opened(settings(), Log()):
        pass
    assert caught.value.exit_code is ExitStatus.FAILED
    (line,) = caught.value.lines
    assert line.startswith(f"process.data_dir: got '{tmp_path / 'data'}', expected a folder with ")
    assert line.endswith(f"{path}: it is damaged, or no catalog at all")
    assert list((tmp_path / "run").iterdir()) == []


def test_one_server_for_a_data_directory(settings: Callable[..., Settings], tmp_path: Path) -> None:
    with opened(settings(), Log()):
        other = load({"run_dir": str(tmp_path / "run2"), "data_dir": str(tmp_path / "data")}, {})
        with pytest.raises(ServerError) as caught, opened(other, Log()):
            pass
    assert caught.value.lines == (
        f"process.data_dir: got '{tmp_path / 'data'}', expected a folder that no other server uses",
    )


def test_a_full_shared_memory_is_one_line(
    settings: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = set(SHM_DIR.iterdir())
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(ServerError) as caught, opened(settings(), Log()):
        pass
    (line,) = caught.value.lines
    assert line.startswith(
        "session.limits.total, events.memory: got 16 and 8388608, expected what fits: "
    )
    assert line.endswith("No space left on device")
    assert caught.value.exit_code is ExitStatus.FAILED
    assert {path for path in set(SHM_DIR.iterdir()) - before if "default" in path.name} == set()
    assert list((tmp_path / "run").iterdir()) == []


def test_a_port_in_use_gives_everything_back(
    settings: Callable[..., Settings], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        uri = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ServerError, match="in use"), opened(settings(uri), Log()):
            pass
    assert list((tmp_path / "run").iterdir()) == []


def test_leftovers_are_told(settings: Callable[..., Settings], tmp_path: Path) -> None:
    path = tmp_path / "bee.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "server.json").write_text(f'{{"sockets": ["{path}"]}}')
    log = Log()
    with opened(settings(), log):
        told = [text for text in log.warnings if "left" in text]
        assert told == [f"removed what a killed server left {{'leftover': 'socket {path}'}}"]
    assert not path.exists()
