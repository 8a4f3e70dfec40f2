"""Looking at a server from outside: found, not found, and names of its users."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from server import places
from server.errors import ExitStatus, ServerError
from server.onlooker import Onlooker
from shm import layout
from shm.catalog import changes
from shm.catalog.store import FILE, Store
from shm.filters import parse
from shm.segment import Segment
from shm.sessions import SessionTable
from tests.rules.sources import ROOT

ADMIN = 1
SERVER = """
import sys
from shm.segment import Segment
segment = Segment.create(sys.argv[1], 4, 1)
print("made", flush=True)
input()
segment.close()
"""


@pytest.fixture
def place(segment: Segment, tmp_path: Path) -> Path:
    """The run directory of this process, which is no server but has a segment."""
    Store.make(tmp_path / FILE, durable=False).close()
    record(tmp_path, segment=segment.name)
    return tmp_path


def record(place: Path, **changed: Any) -> None:
    state = {"pid": os.getpid(), "name": "hive", "catalog": str(place / FILE), **changed}
    (place / places.STATE_FILE).write_text(json.dumps(state))


def claim(segment: Segment, uid: int = 0) -> None:
    with closing(SessionTable(segment)) as table:
        number = table.claim(b"127.0.0.1:1", 0, bytes(layout.SALT_BYTES))
    assert number is not None
    segment.slots[number].uid = uid


def test_a_server_of_another_user(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ServerError) as caught:
        Onlooker(place)
    told = f"cannot look at the server in {place}: Permission denied"
    assert (str(caught.value), caught.value.exit_code) == (told, ExitStatus.FAILED)


def test_what_it_sees(place: Path, segment: Segment) -> None:
    segment.rows[0].requests = 12
    claim(segment)
    claim(segment, ADMIN)
    with Onlooker(place) as server:
        taken = server.snapshot(sessions=parse({"user": "admin"}))
        assert (taken.facts.name, taken.totals.counters["requests"]) == ("hive", 12)
        assert [(row.id, row.user) for row in taken.sessions] == [(2, "admin")]
        assert taken.processes[0].pid == os.getpid()
        plain = server.snapshot(processes=False)
        assert (plain.processes, plain.sessions) == ((), ())


def test_users_that_change(place: Path, segment: Segment) -> None:
    with Onlooker(place) as server, closing(Store.open(place / FILE, durable=False)) as store:
        assert server.users() == {0: "guest", 1: "admin"}
        uid = changes.apply(store, "create_principal", (ADMIN, "user", "ada"))
        assert uid not in server.users()
        segment.renew_catalog()
        assert server.users()[uid] == "ada"


def test_a_catalog_that_cannot_be_read_leaves_users_without_names(
    place: Path, segment: Segment
) -> None:
    (place / FILE).write_bytes(b"x" * 5000)
    claim(segment, ADMIN)
    with Onlooker(place) as server:
        (row,) = server.census().sessions()
        assert (row.user, row.uid) == (None, ADMIN)


@pytest.mark.parametrize(
    "changed",
    [{"pid": None}, {"pid": 4_000_000}, {"segment": 5}, {"segment": "../x"}, {"segment": "gone"}],
    ids=lambda changed: "-".join(f"{key}-{value}" for key, value in changed.items()),
)
def test_no_server(place: Path, segment: Segment, changed: dict[str, Any]) -> None:
    record(place, **{"segment": segment.name, **changed})
    with pytest.raises(ServerError) as caught:
        Onlooker(place)
    assert caught.value.exit_code == ExitStatus.NOT_RUNNING
    assert caught.value.lines == (f"no server runs in {place}; give --run-dir or --name",)


def test_a_folder_without_anything(tmp_path: Path) -> None:
    with pytest.raises(ServerError) as caught:
        Onlooker(tmp_path)
    assert caught.value.exit_code == ExitStatus.NOT_RUNNING


def test_a_segment_of_another_build(place: Path, segment: Segment) -> None:
    segment.header.layout_hash += 1
    with pytest.raises(ServerError, match="made by another version of beespace") as caught:
        Onlooker(place)
    assert caught.value.exit_code == ExitStatus.FAILED


def test_a_server_that_has_ended_meanwhile(place: Path, segment_name: str) -> None:
    name = f"{segment_name}-2"
    other = subprocess.Popen(
        [sys.executable, "-c", SERVER, name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    with other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"made\n"
        record(place, segment=name, pid=other.pid)
        with Onlooker(place) as server:
            assert server.snapshot(processes=False).facts.pid == other.pid
            other.communicate(b"\n")
            with pytest.raises(ServerError) as caught:
                server.snapshot()
    assert caught.value.exit_code == ExitStatus.NOT_RUNNING
