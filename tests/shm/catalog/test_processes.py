"""Several processes change one catalog at once, and processes are killed while they do."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from shm.catalog import snapshot
from shm.catalog.store import FILE, Store
from tests.helpers.wait import wait_until
from tests.rules.sources import ROOT
from tests.shm.catalog.model import violations

WORK = """
import random, sys
from pathlib import Path
from shm.catalog import changes
from shm.catalog.errors import RefusedError
from shm.catalog.store import Store
path, number, count, durable = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "yes"
store = Store.open(Path(path), durable)
choose = random.Random(number)
print("begun", flush=True)
for turn in range(count):
    name, other = f"u{choose.randrange(4)}", f"r{choose.randrange(4)}"
    function = f"f{choose.randrange(3)}"
    call = choose.choice([
        ("create_principal", [1, "user", name]), ("create_principal", [1, "role", other]),
        ("drop_principal", ["user", name]), ("drop_principal", ["role", other]),
        ("grant_role", [1, "user", name, other]), ("revoke_role", ["user", name, other]),
        ("grant_role", [1, "role", other, "r0"]),
        ("create_function", [1, function, {"body": "x" * 5000}]), ("drop_function", [function]),
        ("grant", [1, "user", name, 4, "execute", "function", None, function]),
    ])
    try:
        changes.apply(store, *call)
    except RefusedError:
        pass
    if changes.apply(store, "once", [f"turn {turn}"]):
        changes.apply(store, "create_principal", [1, "user", f"once {turn}", None, False])
print("done", flush=True)
"""


def start(path: Path, number: int, count: int, durable: bool = False) -> subprocess.Popen[str]:
    words = [str(path), str(number), str(count), "yes" if durable else "no"]
    return subprocess.Popen(
        [sys.executable, "-c", WORK, *words], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def test_changes_of_several_processes_take_turns(tmp_path: Path) -> None:
    store = Store.make(tmp_path / FILE, durable=False)
    turns = 60
    processes = [start(store.path, number, turns) for number in range(4)]
    for process in processes:
        assert process.communicate(timeout=50)[0] == "begun\ndone\n"
        assert process.returncode == 0
    assert violations(store) == []
    names = [row[2] for row in snapshot.load(store)["principals"]]
    assert sorted(name for name in names if name.startswith("once")) == sorted(
        f"once {turn}" for turn in range(turns)
    )
    store.close()


def test_a_kill_at_any_moment_leaves_a_valid_catalog(tmp_path: Path) -> None:
    Store.make(tmp_path / FILE, durable=False).close()
    choose = random.Random(4)
    newest, number = 31, 0
    while number < 12 or newest <= 40:
        assert number < 40, f"changes are too slow: {newest}"
        processes = [start(tmp_path / FILE, 2 * number + each, 100_000, True) for each in (0, 1)]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
        time.sleep(choose.uniform(0, 0.15))
        for process in processes:
            process.send_signal(signal.SIGKILL)
        for process in processes:
            process.communicate()
            assert process.returncode == -signal.SIGKILL
        store = Store.make(tmp_path / FILE, durable=False)
        assert violations(store) == []
        with store.reading() as connection:
            query = "SELECT value FROM meta WHERE name = 'next_principal'"
            (following,) = connection.execute(query).fetchone()
        assert following > newest
        newest = following - 1
        store.close()
        number += 1


def test_a_kill_while_it_is_made_is_mended(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from shm.catalog.store import Store\n"
    code += "print('x', flush=True); Store.make(Path(sys.argv[1]))"
    choose = random.Random(5)
    for number in range(10):
        path = tmp_path / f"{number}.sqlite"
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        process.stdout.readline()
        wait_until(path.exists, 10, "the file")
        time.sleep(choose.uniform(0, 0.02))
        process.kill()
        process.communicate()
        store = Store.make(path, durable=False)
        assert violations(store) == []
        store.close()
