"""The run directory: privacy, lock, leftovers."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from server import places, rundir
from server.errors import ServerError
from server.rundir import RunDir, make_private
from shm.segment import SHM_DIR

KEY = "process.run_dir"


def nobody(_: str) -> bool:
    """Nobody listens anywhere."""
    return False


def test_directories_are_made_private(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    make_private(path, KEY, chosen=False)
    assert [oct(folder.stat().st_mode)[-3:] for folder in (path, path.parent)] == ["700", "700"]


def test_a_file_in_the_way(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(ServerError, match="expected a private folder: not a folder"):
        make_private(path, KEY, chosen=True)
    with pytest.raises(ServerError, match="expected a private folder: Not a directory"):
        make_private(path / "below", KEY, chosen=True)


def test_our_own_choice_must_not_be_open_to_others(tmp_path: Path) -> None:
    path = tmp_path / "open"
    path.mkdir()
    path.chmod(0o777)
    make_private(path, KEY, chosen=True)
    with pytest.raises(ServerError, match=f"every user may write to {path}"):
        make_private(path, KEY, chosen=False)
    path.chmod(0o700)
    make_private(path, KEY, chosen=False)
    if os.geteuid() == 0:
        os.chown(path, 12345, -1)
        with pytest.raises(ServerError, match=f"{path} belongs to user 12345"):
            make_private(path, KEY, chosen=False)


def test_files_are_their_owners_only(tmp_path: Path) -> None:
    held = RunDir.open(tmp_path, "bee")
    held.record(["/somewhere"])
    modes = {path.name: oct(path.stat().st_mode)[-3:] for path in tmp_path.iterdir()}
    held.close()

    assert modes == {rundir.PID_FILE: "600", places.STATE_FILE: "600"}


def test_what_is_recorded_can_be_read(tmp_path: Path) -> None:
    held = RunDir.open(tmp_path, "bee")
    assert rundir.read(tmp_path) == {}
    held.record(["/somewhere"], ["unix/:/there"], name="bee", catalog="/data/catalog.sqlite")
    told = rundir.read(tmp_path)
    held.close()

    assert (told["pid"], told["segment"]) == (os.getpid(), held.segment_name)
    assert (told["sockets"], told["consoles"]) == (["/somewhere"], ["unix/:/there"])
    assert (told["name"], told["catalog"]) == ("bee", "/data/catalog.sqlite")


@pytest.mark.parametrize("text", ["", "[1]", "{"])
def test_what_is_no_record(tmp_path: Path, text: str) -> None:
    (tmp_path / places.STATE_FILE).write_text(text)
    assert rundir.read(tmp_path) == {}


def test_one_server_at_a_time(tmp_path: Path) -> None:
    first = RunDir.open(tmp_path, "bee")
    with pytest.raises(ServerError, match=f"process {os.getpid()} runs there"):
        RunDir.open(tmp_path, "bee")
    assert (tmp_path / rundir.PID_FILE).read_text() == f"{os.getpid()}\n"
    first.close()
    assert list(tmp_path.iterdir()) == []
    RunDir.open(tmp_path, "bee").close()


def test_segment_names_differ_between_starts(tmp_path: Path) -> None:
    names = []
    for _ in range(2):
        home = RunDir.open(tmp_path, "bee")
        names.append(home.segment_name)
        home.close()
    assert names[0] != names[1]
    assert all(name.startswith("beespace-bee-") for name in names)


def test_leftovers_are_removed(tmp_path: Path) -> None:
    path = tmp_path / "bee.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    killed = RunDir.open(tmp_path, "bee")
    for own in (killed.control_path, killed.command_path):
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(own)
    killed.record([str(path), str(tmp_path / "never-bound")])
    left = SHM_DIR / killed.segment_name
    left.touch()
    os.close(killed._lock)
    home = RunDir.open(tmp_path, "bee")
    try:
        assert home.remove_leftovers(nobody) == [
            f"segment {left.name}",
            f"socket {path}",
            f"socket {tmp_path}/control.sock",
            f"socket {tmp_path}/supervisor.sock",
        ]
        assert not left.exists()
        assert not Path(home.control_path).exists()
        assert not path.exists()
        assert home.remove_leftovers(nobody) == []
    finally:
        home.close()


def test_a_socket_that_another_server_took_over_stays(tmp_path: Path) -> None:
    path = tmp_path / "bee.sock"
    with socket.socket(socket.AF_UNIX) as alive:
        alive.bind(str(path))
        (tmp_path / places.STATE_FILE).write_text(json.dumps({"sockets": [str(path)]}))
        home = RunDir.open(tmp_path, "bee")
        assert home.remove_leftovers(lambda asked: asked == str(path)) == []
        assert path.exists()
        home.close()


@pytest.mark.parametrize(
    "state",
    [
        "no json",
        "[]",
        json.dumps({"segment": "../../etc/passwd", "sockets": []}),
        json.dumps({"segment": "other-segment", "sockets": ["/etc/passwd"]}),
        json.dumps({"segment": 5, "sockets": [5], "control": 5}),
    ],
)
def test_a_strange_record_removes_nothing(tmp_path: Path, state: str) -> None:
    (tmp_path / places.STATE_FILE).write_text(state)
    home = RunDir.open(tmp_path, "bee")
    assert home.remove_leftovers(nobody) == []
    home.close()
