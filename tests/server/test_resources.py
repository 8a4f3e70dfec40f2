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

from server import uri
from server.errors import ExitStatus, ServerError
from server.resources import OPEN_CONSOLE, OPEN_METRICS, RESERVE, SHORT_HANG, opened
from server.schema import Console, Metrics
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
    def make(*listen: str, **others: Any) -> Settings:
        flags = {"run_dir": str(tmp_path / "run"), "data_dir": str(tmp_path / "data")}
        more = {"listen": list(listen or ["127.0.0.1:0"]), "max_sessions": "16", "workers": "2"}
        return load(flags | more | others, {})

    return make


def test_everything_is_there_and_given_back(
    settings: Callable[..., Settings], tmp_path: Path
) -> None:
    path = tmp_path / "bee.sock"
    with opened(settings("127.0.0.1:0", f"unix/:{path}"), Log()) as resources:
        name = resources.segment.name
        attached = Segment.attach(name)
        port = resources.listeners[0].socket.getsockname()[1]
        assert (attached.header.capacity, attached.header.workers) == (16 + RESERVE, 6)
        assert attached.header.reserved == RESERVE
        assert attached.header.listeners == 4
        assert (attached.header.control_listener, attached.header.own_console) == (3, 2)
        assert (attached.consoles, set(attached.own_listeners)) == (range(2, 3), {2, 3})
        assert attached.header.events_size == 8 << 20
        first = layout.Header.listener_names.offset
        names = bytes(attached.memory[first : first + 4 * layout.LISTENER_BYTES]).split(b"\0")
        assert names[0].decode() == f"127.0.0.1:{port}"
        console, control = (tmp_path / "run" / f"{name}.sock" for name in ("console", "control"))
        uris = [f"unix/:{path}"[: layout.LISTENER_BYTES - 1] for path in (console, control)]
        assert [name.decode() for name in names if name][2:] == uris
        assert resources.control.path == str(control)
        for own in (console, control):
            assert stat.S_IMODE(own.stat().st_mode) == 0o600
        state = json.loads((tmp_path / "run" / "server.json").read_text())
        assert (state["sockets"], state["control"]) == ([str(console), str(path)], str(control))
        assert state["consoles"] == [f"unix/:{console}"]
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


def test_consoles_of_the_settings_stand_in_for_our_own(
    settings: Callable[..., Settings], tmp_path: Path
) -> None:
    path, log = tmp_path / "run" / "console.sock", Log()
    with opened(settings(console=["127.0.0.1:0", f"unix/:{path}"]), log) as resources:
        assert resources.segment.header.listeners == 4
        assert (resources.segment.consoles, set(resources.segment.own_listeners)) == (
            range(1, 3),
            {3},
        )
        state = json.loads((tmp_path / "run" / "server.json").read_text())
        assert state["sockets"] == [str(path)]
        port = resources.consoles[0].socket.getsockname()[1]
        assert state["consoles"] == [f"127.0.0.1:{port}", f"unix/:{path}"]
    assert list((tmp_path / "run").iterdir()) == []
    assert not [text for text in log.warnings if "console" in text]


def test_no_consoles(settings: Callable[..., Settings], tmp_path: Path) -> None:
    none = settings().model_copy(update={"console": Console(enabled=False)})
    with opened(none, Log()) as resources:
        assert resources.consoles == ()
        assert resources.segment.own_listeners == {1}
        assert list(resources.segment.consoles) == []
        assert not (tmp_path / "run" / "console.sock").exists()


def test_a_console_that_is_open_to_the_network_is_told(tmp_path: Path) -> None:
    folders = {"run_dir": str(tmp_path / "run"), "data_dir": str(tmp_path / "data")}
    flags = {**folders, "listen": ["0"], "console": ["*:0", "127.0.0.1:0"]}
    log = Log()
    with opened(load(flags, {"BEESPACE_CONSOLE_ALLOW_REMOTE": "true"}), log) as resources:
        uri = resources.consoles[0].uri
        told = [text for text in log.warnings if "console" in text]
        assert told == [f"{OPEN_CONSOLE} {{'console': '{uri}'}}"]


@pytest.mark.parametrize(
    ("hang", "request_time", "told"),
    [("30", "10", 0), ("30", "30", 0), ("30", "31", 1), ("30", "0", 1), ("0", "0", 0)],
)
def test_requests_that_may_run_longer_than_their_worker_are_told(
    hang: str, request_time: str, told: int, tmp_path: Path
) -> None:
    flags = {"run_dir": str(tmp_path / "run"), "data_dir": str(tmp_path / "data"), "listen": ["0"]}
    environment = {
        "BEESPACE_WORKERS_HANG_TIMEOUT": hang,
        "BEESPACE_LIMITS_REQUEST_TIME": request_time,
    }
    log = Log()
    with opened(load({**flags, "max_sessions": "16"}, environment), log):
        assert len([text for text in log.warnings if text.startswith(SHORT_HANG)]) == told


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("iproto", "console"),
        ("iproto", "control"),
        ("console", "control"),
        ("metrics", "control"),
        ("metrics", "supervisor"),
    ],
)
def test_our_own_sockets_are_no_bodys(
    settings: Callable[..., Settings], tmp_path: Path, key: str, name: str
) -> None:
    uri = f"unix/:{tmp_path}/./run/{name}.sock"
    wanted = {
        "iproto": lambda: settings(uri),
        "console": lambda: settings(console=[uri]),
        "metrics": lambda: with_metrics(settings(), uri),
    }[key]()
    with pytest.raises(ServerError) as caught, opened(wanted, Log()):
        pass
    line = f"{key}.listen: got '{uri}', expected no socket of the server's own"
    assert caught.value.lines == (line,)
    assert list((tmp_path / "run").iterdir()) == []


def with_metrics(settings: Settings, *uris: str, remote: bool = False) -> Settings:
    listen = tuple(uri.parse(each) for each in uris)
    metrics = Metrics.model_construct(listen=listen, allow_remote=remote)
    return settings.model_copy(update={"metrics": metrics})


def test_metrics_of_this_machine(settings: Callable[..., Settings], tmp_path: Path) -> None:
    path, log = tmp_path / "m.sock", Log()
    with opened(settings(), log) as resources:
        assert (resources.metrics, resources.told_metrics()) == ((), {})
    wanted = with_metrics(settings(), "localhost:0", "[::1]:0", f"unix/:{path}")
    with opened(wanted, log) as resources:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        ports = [each.socket.getsockname()[1] for each in resources.metrics[:2]]
        assert resources.told_metrics() == {
            "metrics": f"localhost:{ports[0]},[::1]:{ports[1]},unix/:{path}"
        }
        # They are no listeners of sessions, but must not outlive the server.
        assert resources.segment.header.listeners == 3
        state = json.loads((tmp_path / "run" / "server.json").read_text())
        assert str(path) in state["sockets"]
    assert not path.exists()
    assert [text for text in log.warnings if "metrics" in text] == []


def test_metrics_for_other_machines_are_allowed_and_told(
    settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    # What a name stands for is known only now.
    found = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("0.0.0.0", 0))
    monkeypatch.setattr("server.listeners.socket.getaddrinfo", lambda *_, **__: [found])
    log = Log()
    with pytest.raises(ServerError) as caught, opened(with_metrics(settings(), "host:0"), log):
        pass
    assert caught.value.lines[0].startswith("metrics.listen: got 'host:0', expected a free address")
    assert caught.value.lines[0].endswith("0.0.0.0, which it stands for, is no loopback address")
    with opened(with_metrics(settings("unix/:/tmp/x"), "host:0", remote=True), log) as resources:
        told = {"metrics": str(resources.metrics[0].uri)}
        assert f"{OPEN_METRICS} {told}" in log.warnings


def test_a_console_at_a_port_in_use_gives_everything_back(
    settings: Callable[..., Settings], tmp_path: Path
) -> None:
    path = tmp_path / "c.sock"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        uri = f"127.0.0.1:{taken.getsockname()[1]}"
        consoles = [f"unix/:{path}", uri]
        with pytest.raises(ServerError) as caught, opened(settings(console=consoles), Log()):
            pass
    assert caught.value.lines == (
        f"console.listen: got '{uri}', expected a free address: the address is in use",
    )
    assert list((tmp_path / "run").iterdir()) == []
    assert not path.exists()


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
