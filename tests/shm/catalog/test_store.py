"""The catalog's file: modes, versions, transactions, and everything that can be wrong with it."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from shm.catalog import changes, schema, snapshot
from shm.catalog.errors import CatalogError
from shm.catalog.snapshot import user_names
from shm.catalog.store import FILE, VERSION, Store
from tests.rules.sources import ROOT
from tests.shm.catalog.conftest import Catalog

NOBODY = 65534
MAKE = """
import os, sys
from pathlib import Path
from shm.catalog import changes
from shm.catalog.errors import CatalogError
from shm.catalog.snapshot import user_names
from shm.catalog.store import Store
os.setgid(65534)
os.setuid(65534)
try:
    store = getattr(Store, sys.argv[2])(Path(sys.argv[1]))
    changes.apply(store, "once", ["a"])
except CatalogError as error:
    print("error:", error)
"""
FILL = """
import resource, sys
from pathlib import Path
from shm.catalog import changes, snapshot
from shm.catalog.errors import CatalogError
from shm.catalog.snapshot import user_names
from shm.catalog.store import Store
store = Store.open(Path(sys.argv[1]))
size = max(path.stat().st_size for path in Path(sys.argv[1]).parent.iterdir())
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 200_000, size + 200_000))
made = 0
try:
    for made in range(10_000):
        changes.apply(store, "create_principal", [1, "user", f"u{made}"])
except CatalogError as error:
    print("error:", error)
assert len(snapshot.load(store)["principals"]) == 5 + made
print(made)
"""


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


def elsewhere(code: str, *arguments: str) -> str:
    """What another process prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    return done.stdout


def why_not(path: Path, opening: Callable[[Path], Store] = Store.make) -> str:
    with pytest.raises(CatalogError) as caught:
        opening(path)
    return str(caught.value)


def test_all_files_are_the_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = Store.make(tmp_path / FILE)
        changes.apply(store, "once", ["a"])
    finally:
        os.umask(before)
    assert modes(tmp_path) == dict.fromkeys((FILE, f"{FILE}-wal", f"{FILE}-shm"), 0o600)
    for path in tmp_path.iterdir():
        path.chmod(0o644)
    Store.make(tmp_path / FILE).close()
    assert set(modes(tmp_path).values()) == {0o600}
    store.close()
    assert modes(tmp_path) == {FILE: 0o600}


def test_it_is_what_it_was_after_a_restart(catalog: Catalog) -> None:
    catalog.user("u")
    before = snapshot.load(catalog.store)
    catalog.store.close()

    with_version = Store.make(catalog.path)
    assert snapshot.load(with_version) == before
    with_version.close()


def test_a_worker_needs_a_file_that_is_there(tmp_path: Path) -> None:
    assert why_not(tmp_path / FILE, Store.open) == "it cannot be opened"
    (tmp_path / FILE).touch()
    assert why_not(tmp_path / FILE, Store.open) == f"it has version 0, expected {VERSION}"


def test_a_file_that_is_still_empty_is_filled(tmp_path: Path) -> None:
    (tmp_path / FILE).touch()
    store = Store.make(tmp_path / FILE)
    assert len(snapshot.load(store)["principals"]) == 5
    store.close()


@pytest.mark.parametrize("opening", [Store.make, Store.open])
def test_a_newer_version_is_refused(catalog: Catalog, opening: Callable[[Path], Store]) -> None:
    with catalog.store.writing() as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    text = f"it has version {VERSION + 1}, made by a newer beespace; this one knows {VERSION}"
    assert why_not(catalog.path, opening) == text


def test_missing_steps_are_run(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog.user("u")
    steps = (*schema.MIGRATIONS, ("CREATE TABLE more (a)", "INSERT INTO more VALUES (7)"))
    monkeypatch.setattr("shm.catalog.store.MIGRATIONS", steps)
    monkeypatch.setattr("shm.catalog.store.VERSION", VERSION + 1)

    for _ in range(2):
        store = Store.make(catalog.path)
        with store.reading() as connection:
            assert connection.execute("SELECT a FROM more").fetchall() == [(7,)]
            assert connection.execute("PRAGMA user_version").fetchone() == (VERSION + 1,)
        store.close()
    assert "u" in catalog.principals()


def test_a_step_that_fails_leaves_the_old_version(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = (*schema.MIGRATIONS, ("CREATE TABLE more (a)", "INSERT INTO nowhere VALUES (7)"))
    monkeypatch.setattr("shm.catalog.store.MIGRATIONS", steps)

    assert "nowhere" in why_not(catalog.path)
    with catalog.store.reading() as connection:
        tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
        assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)
    assert ("more",) not in tables


def test_a_file_of_another_program(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / FILE)
    other.execute("CREATE TABLE theirs (a)")
    other.commit()
    other.close()
    assert why_not(tmp_path / FILE) == "it is a file of another program"
    assert why_not(tmp_path / FILE, Store.open) == "it is a file of another program"


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"these are not the bytes of a database\n" * 1000)
    assert why_not(tmp_path / FILE) == "it is damaged, or no catalog at all"


def test_a_damaged_file(catalog: Catalog) -> None:
    for number in range(200):
        catalog.user(f"user{number}")
    catalog.store.close()
    data = bytearray(catalog.path.read_bytes())
    for page in range(2, len(data) // 4096):
        data[page * 4096 : page * 4096 + 64] = b"\xa5" * 64
    catalog.path.write_bytes(data)

    assert why_not(catalog.path).startswith("it is damaged")


def test_a_reference_to_nothing(catalog: Catalog) -> None:
    catalog.store.close()
    other = sqlite3.connect(catalog.path)
    other.execute("INSERT INTO privileges VALUES (1, 777, 'universe', 0, 4)")
    other.commit()
    other.close()
    assert why_not(catalog.path) == "it is damaged"


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    assert why_not(tmp_path / FILE) == "it cannot be opened"


def test_no_folder(tmp_path: Path) -> None:
    assert why_not(tmp_path / "nowhere" / FILE) == "No such file or directory"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make files of others")
def test_a_folder_that_may_only_be_read() -> None:
    # Below /tmp, since pytest's own folders are closed to others.
    folder = Path(f"/tmp/beespace-catalog-{os.getpid()}")
    folder.mkdir(mode=0o755)
    try:
        assert elsewhere(MAKE, str(folder / FILE), "make") == "error: Permission denied\n"
        Store.make(folder / FILE).close()
        os.chown(folder / FILE, NOBODY, NOBODY)
        (folder / FILE).chmod(0o400)
        said = elsewhere(MAKE, str(folder / FILE), "open")
        assert said in ("error: it is read-only\n", "error: it cannot be opened\n")
    finally:
        (folder / FILE).unlink(missing_ok=True)
        folder.rmdir()


def test_a_change_of_a_read_only_catalog(catalog: Catalog) -> None:
    with catalog.store.reading() as connection:
        connection.execute("PRAGMA query_only = ON")
    before = snapshot.load(catalog.store)
    with pytest.raises(CatalogError, match=r"^it is read-only$"):
        catalog.do("create_principal", 1, "user", "u")
    assert snapshot.load(catalog.store) == before


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    store = Store.make(tmp_path / FILE)
    said, made = elsewhere(FILL, str(tmp_path / FILE)).splitlines()
    assert said in ("error: no space is left for it", "error: reading or writing it failed")
    assert 0 < int(made) < 1000
    assert len(snapshot.load(store)["principals"]) == 5 + int(made)
    changes.apply(store, "once", ["a"])
    store.close()


def test_a_catalog_that_is_locked(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shm.catalog.store.BUSY_SECONDS", 0.05)
    other = Store.open(catalog.path)
    with catalog.store.writing(), pytest.raises(CatalogError, match="another process has kept it"):
        changes.apply(other, "once", ["a"])
    assert changes.apply(other, "once", ["a"]) is True
    other.close()


def test_what_raises_inside_leaves_nothing(catalog: Catalog) -> None:
    before = snapshot.load(catalog.store)
    with pytest.raises(ZeroDivisionError), catalog.store.writing() as connection:
        connection.execute("DELETE FROM privileges")
        raise ZeroDivisionError
    assert snapshot.load(catalog.store) == before


def test_a_reader_sees_one_state(catalog: Catalog) -> None:
    other = Store.open(catalog.path)
    with other.reading() as connection:
        count = "SELECT count(*) FROM principals"
        before = connection.execute(count).fetchone()
        catalog.user("u")
        assert connection.execute(count).fetchone() == before
    assert len(snapshot.load(other)["principals"]) == 6
    other.close()


def test_who_looks_makes_nothing_and_waits_for_nobody(tmp_path: Path) -> None:
    path = tmp_path / FILE
    with closing(Store.make(path)) as store:
        beside = files(tmp_path)
        with store.writing() as connection, closing(Store.look(path)) as looking:
            connection.execute("UPDATE principals SET name = 'changed' WHERE name = 'guest'")
            assert user_names(looking) == {0: "guest", 1: "admin"}
        with closing(Store.look(path)) as looking:
            assert user_names(looking) == {0: "changed", 1: "admin"}
            with (
                pytest.raises(CatalogError, match="it is read-only"),
                looking.writing() as connection,
            ):
                connection.execute("DELETE FROM principals")
        assert files(tmp_path) == beside
    alone = files(tmp_path)
    assert alone == {FILE}
    with closing(Store.look(path)) as looking:
        assert user_names(looking) == {0: "changed", 1: "admin"}
        assert files(tmp_path) == alone
    with pytest.raises(CatalogError, match="it cannot be opened"):
        Store.look(tmp_path / "none")
    assert files(tmp_path) == alone


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}
