"""A server with declared users: what is in its catalog, and where no password is to be seen."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from shm.catalog import snapshot
from shm.catalog.passwords import digest
from shm.catalog.store import FILE, Store
from shm.segment import Segment
from tests.helpers.server import refused, running
from tests.helpers.wait import wait_until

SECRET = "0pen-Sesame!"


def declared(folder: Path) -> dict[str, Any]:
    (folder / "password").write_text(f"{SECRET}\n")
    source = {"from": "file", "file": str(folder / "password"), "rstrip": True}
    reads = {"permissions": ["execute"], "lua_call": ["hello"]}
    return {
        "config": {"context": {"bob": source}},
        "credentials": {
            "roles": {"caller": {"privileges": [reads]}},
            "users": {"bob": {"password": "{{ context.bob }}", "roles": ["caller"]}},
        },
    }


def test_declared_users_and_their_secrets(tmp_path: Path) -> None:
    settings = declared(tmp_path)
    same = ["--data-dir", str(tmp_path / "data")]
    kept = []
    for start in range(2):
        with running(tmp_path, settings=settings, arguments=same) as server:
            store = Store.open(tmp_path / "data" / FILE)
            kept.append(snapshot.load(store))
            store.close()
            lines = server.lines("applied the credentials")
            assert len(lines) == (1 if start == 0 else 0)
            shown = [" ".join(each.cmdline()) for each in server.children()]
            shown += [" ".join(psutil.Process(server.pid).cmdline()), server.log]
            shown += [
                Path(f"/proc/{each.pid}/environ").read_bytes().decode()
                for each in server.children()
            ]
            assert [text for text in shown if SECRET in text] == []
    assert kept[0] == kept[1]
    bob = next(row for row in kept[0]["principals"] if row[2] == "bob")
    assert (bob[4], bob[5]) == (digest(SECRET.encode()), 1)


def test_a_role_that_is_not_there_is_an_error_of_the_settings(tmp_path: Path) -> None:
    code, log = refused(tmp_path, settings={"credentials": {"users": {"bob": {"roles": ["x"]}}}})
    assert code == 2
    *_, line = log.splitlines()
    assert line.startswith(
        "beespace: credentials.users.bob.roles[1]: got a text, expected a role that exists ("
    )


def test_a_damaged_catalog_is_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data" / FILE).write_bytes(b"x" * 10_000)
    code, log = refused(tmp_path, arguments=["--data-dir", str(tmp_path / "data")])
    assert code == 1
    *_, line = log.splitlines()
    assert line.startswith("beespace: process.data_dir: got ")
    assert line.endswith("it is damaged, or no catalog at all")


def test_a_dead_worker_makes_the_others_look_again(tmp_path: Path) -> None:
    with running(tmp_path, workers=2) as server:
        (path,) = server.segments()
        segment = Segment.attach(path.name)
        before = segment.header.catalog_generation
        os.kill(segment.rows[1].pid, signal.SIGKILL)
        wait_until(lambda: segment.header.catalog_generation != before, 10, "another number")
        segment.close()


@pytest.mark.parametrize("open_to_guests", [True, False])
def test_a_server_that_is_open_to_everybody_says_so(tmp_path: Path, open_to_guests: bool) -> None:
    with running(tmp_path, open_to_guests=open_to_guests) as server:
        warned = server.lines("whoever can connect can do everything")
        assert len(warned) == (1 if open_to_guests else 0)
