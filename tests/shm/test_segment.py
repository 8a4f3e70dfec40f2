"""The segment: made, attached, refused, and never left behind."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from shm import layout, regions
from shm.regions import Regions
from shm.segment import SHM_DIR, Segment, SegmentError, refuse_untested_machine
from tests.helpers.wait import wait_until
from tests.rules.sources import ROOT

MAKE = """
import sys, time
from shm.segment import Segment
segment = Segment.create(sys.argv[1], 4, 1)
print("made", flush=True)
time.sleep(30)
"""
ATTACH = """
import sys
from shm.segment import Segment
segment = Segment.attach(sys.argv[1])
segment.rows[1].assigned = 77
print(segment.capacity)
"""


def start(code: str, name: str) -> subprocess.Popen[str]:
    """A process that has nothing to do with this one, running ``code``."""
    return subprocess.Popen(
        [sys.executable, "-c", code, name],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_create_fills_the_header(segment: Segment) -> None:
    header = segment.header
    assert header.magic.to_bytes(8, "little") == b"beespace"
    assert header.layout_hash == layout.layout_hash()
    parts = Regions(8, 1 << 20, 2)
    assert header.size == parts.size == (SHM_DIR / segment.name).stat().st_size
    assert (header.capacity, header.workers) == (8, 2)
    assert (header.rows_offset, header.slots_offset) == (regions.ROWS, regions.SLOTS)
    assert (header.events_offset, header.events_size) == (221184, 1 << 20)
    assert (header.triggers_offset, header.triggers_size) == (221184 + (1 << 20), 1 << 20)
    assert (header.orders_offset, header.history_offset) == (parts.orders, parts.history)
    assert header.history == layout.HISTORY
    assert (header.event_generation, header.trigger_generation) == (0, 0)
    assert header.supervisor_pid == os.getpid()
    assert header.last_id == 0
    assert any(header.boot_id)
    assert any(header.instance)
    assert len(segment.rows) == layout.MAX_WORKERS
    assert len(segment.slots) == len(segment.orders) == 8


def test_all_pages_are_really_there(segment: Segment) -> None:
    assert (SHM_DIR / segment.name).stat().st_blocks * 512 >= Regions(8, 1 << 20, 2).size


def test_both_mappings_show_the_same_bytes(segment: Segment) -> None:
    other = Segment.attach(segment.name)
    other.header.acceptor_turns = 5
    other.slots[7].id = 42
    other.close()
    assert segment.header.acceptor_turns == 5
    assert segment.slots[7].id == 42


def test_close_of_the_maker_removes_the_segment(segment_name: str) -> None:
    Segment.create(segment_name, 1, 1).close()
    assert not (SHM_DIR / segment_name).exists()


def test_close_removes_the_segment_even_when_a_view_is_held(segment_name: str) -> None:
    made = Segment.create(segment_name, 1, 1)
    view = memoryview(made.memory)
    with pytest.raises(BufferError):
        made.close()
    assert not (SHM_DIR / segment_name).exists()
    view.release()


def test_close_of_another_leaves_it(segment: Segment) -> None:
    Segment.attach(segment.name).close()
    assert (SHM_DIR / segment.name).exists()


def test_a_second_segment_of_that_name_is_refused(segment: Segment) -> None:
    with pytest.raises(SegmentError, match=f"segment {segment.name}: File exists"):
        Segment.create(segment.name, 8, 2)
    assert (SHM_DIR / segment.name).exists()


def test_attach_without_segment(segment_name: str) -> None:
    with pytest.raises(SegmentError, match=f"segment {segment_name}: No such file"):
        Segment.attach(segment_name)


@pytest.mark.parametrize("field", ["magic", "layout_hash", "size"])
def test_attach_refuses_another_build(segment: Segment, field: str) -> None:
    setattr(segment.header, field, getattr(segment.header, field) + 1)
    with pytest.raises(SegmentError, match="made by another version of beespace"):
        Segment.attach(segment.name)


@pytest.mark.parametrize("size", [0, 100, regions.LEAST.size - 1])
def test_attach_refuses_a_small_file(segment_name: str, size: int) -> None:
    path = SHM_DIR / segment_name
    path.write_bytes(bytes(size))
    try:
        with pytest.raises(SegmentError, match=f"{size} bytes is too small"):
            Segment.attach(segment_name)
    finally:
        path.unlink()


def test_full_shm_is_an_error_and_leaves_nothing(
    segment_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(fd: int, offset: int, length: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", no_room)
    with pytest.raises(
        SegmentError, match=r"/dev/shm has no room for the 2912256 bytes of .*: No space left"
    ):
        Segment.create(segment_name, 1, 1, events=65536)
    assert not (SHM_DIR / segment_name).exists()


def test_more_than_the_free_space_is_an_error_and_leaves_nothing(segment_name: str) -> None:
    total = shutil.disk_usage(SHM_DIR).total
    if total > 1 << 40:
        pytest.skip("/dev/shm has no limit here")
    with pytest.raises(SegmentError, match=r"No space left|Cannot allocate"):
        Segment.create(segment_name, total // layout.SLOT.size + 1, 1)
    assert not (SHM_DIR / segment_name).exists()


def test_an_unrelated_process_attaches_and_leaves_it(segment: Segment) -> None:
    output, errors = start(ATTACH, segment.name).communicate(timeout=20)
    assert (output, errors) == ("8\n", "")
    assert segment.rows[1].assigned == 77
    assert (SHM_DIR / segment.name).exists()


def test_a_killed_maker_leaves_nothing(segment_name: str) -> None:
    maker = start(MAKE, segment_name)
    path = Path(SHM_DIR, segment_name)
    try:
        assert maker.stdout is not None
        assert maker.stdout.readline() == "made\n"
        assert path.exists()
    finally:
        maker.kill()
        maker.communicate(timeout=20)
    wait_until(lambda: not path.exists(), what="removal of the segment")


def test_untested_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(SegmentError, match="machine aarch64 is not supported"):
        refuse_untested_machine()


def test_every_catalog_number_is_new() -> None:
    name = f"beespace-test-{os.getpid()}-catalog"
    segment = Segment.create(name, 4, 1)
    seen = [segment.header.catalog_generation]
    for _ in range(100):
        segment.renew_catalog()
        seen.append(segment.header.catalog_generation)
    segment.close()
    assert len(set(seen)) == len(seen)
    assert all(0 < number < 2**53 and number == int(number) for number in seen)
