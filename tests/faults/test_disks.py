"""No room, or no right to write: in /dev/shm at the start, in the data directory also later.

A file system does not become read-only while the catalog on it is open for writing; that it cannot
be written then shows as errors of the device, like those that limits on the size of files give.

Full and read-only file systems are real ones, mounted where only the server sees them (a mount
namespace); what a machine does not allow is skipped there. Limits on the size of files, which every
user may set, do the same to a server everywhere.
"""

from __future__ import annotations

import functools
import resource
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.faults.conftest import Start
from tests.faults.crowd import working
from tests.helpers import catalog
from tests.helpers.raw import Raw
from tests.helpers.server import Server, refused

UNSHARE = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-ec")
SMALL = 'mount -t tmpfs -o size=%s tmpfs "%s"; exec "$0" "$@"'
SEEDED = 'mount -t tmpfs -o size=400k tmpfs "%s"; cp -p "%s"/* "%s"; exec "$0" "$@"'

CREATE = "box.schema.user.create(...)"
EXISTS = "return box.schema.user.exists(...)"


@functools.cache
def namespaces() -> bool:
    """Whether this user may mount something for a process."""
    if shutil.which("unshare") is None or shutil.which("nsenter") is None:
        return False
    return (
        subprocess.run([*UNSHARE, "mount -t tmpfs tmpfs /mnt"], capture_output=True).returncode == 0
    )


needs_namespaces = pytest.mark.skipif(
    "not namespaces()", reason="this user may not mount file systems in a namespace"
)


def within(server: Server, *command: str) -> None:
    """Run a command where a server sees its files."""
    enter = ["nsenter", "--target", str(server.pid), "--user", "--mount", "--preserve-credentials"]
    subprocess.run([*enter, *command], check=True, timeout=20)


@needs_namespaces
def test_no_room_for_the_segment(tmp_path: Path) -> None:
    code, text = refused(tmp_path, inside=[*UNSHARE, SMALL % ("1m", "/dev/shm")])
    assert code == 1
    last = text.splitlines()[-1]
    assert last.startswith("beespace: session.limits.total, events.memory: got 65536 and 8388608")
    assert "/dev/shm has no room for the " in last
    assert last.endswith("No space left on device")


@needs_namespaces
def test_no_room_in_the_data_directory_at_the_start(tmp_path: Path) -> None:
    data = tmp_path / "disk"
    data.mkdir()
    inside = [*UNSHARE, SMALL % ("8k", data)]
    code, text = refused(tmp_path, inside=inside, arguments=["--data-dir", str(data)])
    assert code == 1
    assert text.splitlines()[-1] == (
        f"beespace: process.data_dir: got '{data}', expected a folder with a catalog that can be "
        f"used: {data}/catalog.sqlite: no space is left for it"
    )


@needs_namespaces
def test_a_read_only_data_directory_at_the_start(tmp_path: Path) -> None:
    data = tmp_path / "disk"
    data.mkdir()
    inside = [*UNSHARE, SMALL.replace("size=", "ro,size=") % ("1m", data)]
    code, text = refused(tmp_path, inside=inside, arguments=["--data-dir", str(data)])
    assert code == 1
    assert text.splitlines()[-1] == (
        f"beespace: process.data_dir: got '{data}', expected a private folder: it cannot be written"
    )


@needs_namespaces
def test_a_disk_that_becomes_full(start: Start, tmp_path: Path) -> None:
    data, seeds = tmp_path / "disk", tmp_path / "seeds"
    data.mkdir()
    catalog.seed(seeds, open_to_guests=True)
    inside = [*UNSHARE, SEEDED % (data, seeds, data)]
    server = start(workers=2, inside=inside, arguments=["--data-dir", str(data)])
    with working(server) as crowd, Raw(server.address) as client:
        within(server, "sh", "-c", f"head -c 1m /dev/zero > {data}/filler 2> /dev/null || true")
        full = client.eval(CREATE, "ann")
        within(server, "rm", f"{data}/filler")
        assert client.eval(CREATE, "bob").data == []
        there = [client.eval(EXISTS, name).data[0] for name in ("ann", "bob")]
        outcome = crowd.end()
    assert full.text == "the catalog cannot be changed: no space is left for it"
    assert there == [False, True]
    outcome.check(crowd.of(0, 1), [])
    assert outcome.newcomers.failed == []
    assert len(server.lines("worker-.* E> the catalog cannot be changed operation=")) == 1


def test_files_that_may_not_grow(start: Start) -> None:
    """The catalog's and the log: changes fail, sessions go on, and so it is again afterwards."""
    server = start(workers=1)
    with working(server, 4) as crowd, Raw(server.address) as client:
        pid = crowd.pids[0]
        before = resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        failed = client.eval(CREATE, "ann")
        client.eval("print('into a log that is full')")
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
        assert client.eval(CREATE, "bob").data == []
        there = [client.eval(EXISTS, name).data[0] for name in ("ann", "bob")]
        outcome = crowd.end()
    assert failed.text == "the catalog cannot be changed: reading or writing it failed"
    assert there == [False, True]
    outcome.check(crowd.of(0), [])
    assert outcome.newcomers.failed == []
