"""No room, or no right to write: in /dev/shm at the start, in the data directory also later.

A file system is not made read-only while the catalog on it is open for writing, but becomes so by
itself when its device fails: ext4 can be told to think that, by root. Everywhere else files lose
their right to be written.

Full and read-only file systems are real ones, mounted where only the server sees them (a mount
namespace); what a machine does not allow is skipped there. Limits on the size of files, which every
user may set, do the same to a server everywhere.
"""

from __future__ import annotations

import functools
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.faults.conftest import Start
from tests.faults.crowd import working
from tests.helpers import catalog
from tests.helpers.commands import beespace, states, status
from tests.helpers.raw import Raw
from tests.helpers.server import ROOT, Server, environment, refused
from tests.helpers.wait import wait_until

UNSHARE = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-ec")
SMALL = 'mount -t tmpfs -o size=%s tmpfs "%s"; exec "$0" "$@"'
SEEDED = 'mount -t tmpfs -o size=400k tmpfs "%s"; cp -p "%s"/* "%s"; exec "$0" "$@"'

NO_FILES = ("sh", "-c", 'ulimit -f 0; exec "$@"', "sh")
"""No file may have a byte; pipes may."""

CREATE = "box.schema.user.create(...)"
EXISTS = "return box.schema.user.exists(...)"
FAILED = "the catalog cannot be changed: "

WITHOUT_OVERRIDE = ("setpriv", "--inh-caps=-all", "--bounding-set=-dac_override,-dac_read_search")
"""Root, too, may then write only what the file's mode allows."""

DEVICE = """
truncate -s 8M "{place}/device"
mkfs.ext4 -qF "{place}/device"
mount -o loop,errors=remount-ro "{place}/device" "{place}/disk"
cp -p "{place}"/seeds/* "{place}/disk"
exec "$0" "$@"
"""
FAILS = """
device=$(findmnt --noheadings --output SOURCE "{disk}")
echo 1 > "/sys/fs/ext4/${{device##*/}}/trigger_fs_error"
"""


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


@functools.cache
def devices() -> bool:
    """Whether this user may mount a file as a device."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "mkfs.ext4", "findmnt"))):
        return False
    with tempfile.TemporaryDirectory() as place:
        for folder in ("disk", "seeds"):
            Path(place, folder).mkdir()
        Path(place, "seeds", "one").touch()
        words = ["unshare", "--mount", "sh", "-ec", DEVICE.format(place=place), "true"]
        return subprocess.run(words, capture_output=True).returncode == 0


needs_devices = pytest.mark.skipif(
    "not devices()", reason="this user may not mount a file as a device"
)


def modes_count() -> bool:
    """Whether files that may not be written are not written here, by a server started so."""
    return os.geteuid() != 0 or shutil.which("setpriv") is not None


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
def test_shared_memory_that_becomes_full(start: Start) -> None:
    """All that a server needs of it was taken at the start."""
    inside = [*UNSHARE, SMALL % ("200m", "/dev/shm")]
    server = start(workers=2, inside=inside)
    with working(server) as crowd:
        within(server, "sh", "-c", "head -c 200m /dev/zero > /dev/shm/filler 2> /dev/null || true")
        os.kill(crowd.pids[0], signal.SIGKILL)
        wait_until(lambda: server.lines("worker is back worker=0"), 20)
        done = beespace("reload", run_dir=server.folder / "run")
        with Raw(server.address) as newcomer:
            newcomer.eval("box.broadcast('honey', ('x'):rep(100000))")
            newcomer.eval("box.session.on_connect(function() end, nil, 'see')")
        outcome = crowd.end()
    assert (done.returncode, done.stdout) == (0, "reloaded, 2 new workers\n")
    outcome.check(crowd.of(1), crowd.of(0))
    assert len(outcome.newcomers.failed) <= 1, outcome.newcomers.failed


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


@needs_devices
def test_a_disk_that_becomes_read_only(start: Start, tmp_path: Path) -> None:
    """Its device fails; workers are replaced and the application is loaded anew all the same."""
    disk, seeds = tmp_path / "disk", tmp_path / "seeds"
    disk.mkdir()
    catalog.seed(seeds, open_to_guests=True)
    inside = ["unshare", "--mount", "sh", "-ec", DEVICE.format(place=tmp_path)]
    server = start(workers=2, inside=inside, arguments=["--data-dir", str(disk)])
    with working(server) as crowd, Raw(server.address) as client:
        client.eval(CREATE, "ann")
        enter = ["nsenter", "--target", str(server.pid), "--mount", "sh", "-ec"]
        subprocess.run([*enter, FAILS.format(disk=disk)], check=True, timeout=20)
        first = client.eval(CREATE, "bob").text
        victim = next(n for n in crowd.pids if n != client.call("whereami").data[1])
        os.kill(crowd.pids[victim], signal.SIGKILL)
        wait_until(lambda: server.lines(f"worker is back worker={victim}"), 20)
        done = beespace("reload", run_dir=server.folder / "run")
        with Raw(server.address) as newcomer:
            second = newcomer.eval(CREATE, "bob").text
            there = [newcomer.eval(EXISTS, name).data[0] for name in ("ann", "bob")]
        lost = crowd.of(victim)
        outcome = crowd.end()
    assert [first[: len(FAILED)], second[: len(FAILED)]] == [FAILED, FAILED]
    assert there == [True, False]
    assert (done.returncode, done.stdout) == (0, "reloaded, 2 new workers\n")
    outcome.check(sorted(set(crowd.workers) - set(lost)), lost)
    assert len(outcome.newcomers.failed) <= 1, outcome.newcomers.failed


@pytest.mark.skipif("not modes_count()", reason="root may write everything here")
def test_a_catalog_that_may_only_be_read_meanwhile(start: Start) -> None:
    server = start(workers=2, inside=WITHOUT_OVERRIDE if os.geteuid() == 0 else ())
    data = server.folder / "data"
    with working(server) as crowd:
        data.chmod(0o500)
        (data / "catalog.sqlite").chmod(0o400)
        os.kill(crowd.pids[0], signal.SIGKILL)
        wait_until(lambda: server.lines("worker is back worker=0"), 20)
        with session_of(server, 0) as client:
            refused = client.eval(CREATE, "ann").text
            assert client.eval(EXISTS, "guest").data == [True]
            (data / "catalog.sqlite").chmod(0o600)
            data.chmod(0o700)
            # The worker finds out when it is refused once more at most.
            wait_until(lambda: not client.eval(CREATE, "bob").is_error, what="a change")
            there = [client.eval(EXISTS, name).data[0] for name in ("ann", "bob")]
        outcome = crowd.end()
    assert refused == f"{FAILED}it is read-only"
    assert there == [False, True]
    outcome.check(crowd.of(1), crowd.of(0))
    assert len(outcome.newcomers.failed) <= 1, outcome.newcomers.failed


def session_of(server: Server, worker: int) -> Raw:
    """A session that a worker has."""
    while True:
        client = Raw(server.address)
        if client.call("whereami").data[1] == worker:
            return client
        client.close()


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


def test_processes_start_where_no_file_may_grow(start: Start) -> None:
    """As on a machine whose disk is full, /tmp and all: parts are replaced, commands work."""
    server = start(workers=2)
    run_dir = server.folder / "run"
    with working(server) as crowd:
        before = resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        acceptor = status(server)["acceptor"]["pid"]
        for pid in (acceptor, crowd.pids[0]):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: status(server)["workers"][0]["restarts"] == 1, 20, "another worker")
        wait_until(lambda: states(server) == ["ready", "ready"], 20, "all workers")
        wait_until(lambda: status(server)["acceptor"]["restarts"] == 1, 20, "another acceptor")
        wait_until(lambda: status(server)["acceptor"]["state"] == "ready", 20, "an acceptor")
        done = beespace("reload", run_dir=run_dir)
        words = [*NO_FILES, sys.executable, "-m", "server", "stats", "--run-dir", str(run_dir)]
        shown = subprocess.run(words, capture_output=True, cwd=ROOT, env=environment(), timeout=30)
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, before)
        outcome = crowd.end()
    assert (done.returncode, done.stdout) == (0, "reloaded, 2 new workers\n")
    assert (shown.returncode, shown.stderr) == (0, b"")
    outcome.check(crowd.of(1), crowd.of(0))
    # One in the worker, and one that the acceptor held.
    assert len(outcome.newcomers.failed) <= 2, outcome.newcomers.failed
