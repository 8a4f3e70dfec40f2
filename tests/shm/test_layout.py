"""One layout for two languages: sizes, offsets, writers, and the hash that guards them."""

from __future__ import annotations

import ctypes
import re
from collections import defaultdict

import pytest

from shm import layout
from shm.record import CACHE_LINE, Field, Record, Writer
from workers.runtime import LuaFailureError, Runtime

GOLDEN_HASH = 0xCCB2E28C7EADF94E
"""Changes with every change of the layout: then segments of the two builds do not fit together."""

BESIDE_OTHERS = {("bee_slot_t", "inbox_bytes"), ("bee_slot_t", "inbox_phase")}
"""Fields that lie in the line of another writer, for the reason that the layout gives."""

STRUCTURES = dict(zip(layout.RECORDS, layout.STRUCTURES, strict=True))


ASK = """
local ffi, record, field = require('ffi'), ...
return field and ffi.offsetof(record, field) or ffi.sizeof(record)
"""


def facts_text() -> str:
    """The facts as a worker hands them to Lua."""
    return "".join(f"{record} {field} {offset}\n" for record, field, offset in layout.facts())


@pytest.mark.parametrize(
    ("record", "size"),
    [
        (layout.HEADER, 4096),
        (layout.ROW, 832),
        (layout.SLOT, 256),
        (layout.FAILURE, 128),
        (layout.TALLY, 8),
        (layout.ORDER, 8),
        (layout.END, 256),
    ],
)
def test_record_has_its_size(record: Record, size: int) -> None:
    assert ctypes.sizeof(STRUCTURES[record]) == record.size == size


@pytest.mark.parametrize("record", layout.RECORDS, ids=lambda record: record.name)
def test_writers_never_share_a_cache_line(record: Record) -> None:
    writers: dict[int, set[Writer]] = defaultdict(set)
    structure = STRUCTURES[record]
    for field in record.fields():
        if field.name.startswith("pad"):
            continue
        start = getattr(structure, field.name).offset
        if (record.name, field.name) in BESIDE_OTHERS:
            continue
        for line in range(start // CACHE_LINE, (start + field.size - 1) // CACHE_LINE + 1):
            writers[line].add(field.writer)
    assert {line: found for line, found in writers.items() if len(found) > 1} == {}


@pytest.mark.parametrize("record", layout.RECORDS, ids=lambda record: record.name)
def test_every_field_has_a_writer_and_a_meaning(record: Record) -> None:
    fields = [field for field in record.fields() if not field.name.startswith("pad")]
    assert all(isinstance(field.writer, Writer) for field in fields)
    assert [field.name for field in fields if len(field.about.split()) < 2] == []
    assert len({field.name for field in fields}) == len(fields)


@pytest.mark.parametrize("record", layout.RECORDS, ids=lambda record: record.name)
def test_fields_are_naturally_aligned(record: Record) -> None:
    structure = STRUCTURES[record]
    for field in record.fields():
        assert getattr(structure, field.name).offset % (field.size // field.count) == 0, field.name


def test_polled_fields_are_volatile() -> None:
    polled = {
        f"{record.name}.{f.name}"
        for record in layout.RECORDS
        for f in record.fields()
        if f.volatile
    }
    assert polled >= {
        "bee_header_t.last_id",
        "bee_header_t.catalog_generation",
        "bee_header_t.event_generation",
        "bee_row_t.heartbeat",
        "bee_row_t.state",
        "bee_slot_t.id",
        "bee_slot_t.state",
    }


def test_a_record_of_the_wrong_size_is_refused() -> None:
    record = Record(
        "small_t",
        8,
        ((Field("a", "u64", Writer.WORKER, "one"), Field("b", "u64", Writer.WORKER, "two")),),
    )
    with pytest.raises(ValueError, match="small_t takes 16 bytes, declared with 8"):
        list(record.fields())


def test_a_member_off_its_alignment_is_refused() -> None:
    record = Record(
        "odd_t",
        64,
        ((Field("a", "u8", Writer.WORKER, "one"), Field("b", "u64", Writer.WORKER, "two")),),
    )
    with pytest.raises(ValueError, match="odd_t: a member is not naturally aligned"):
        record.structure()


def test_hash_is_the_known_one() -> None:
    assert hex(layout.layout_hash()) == hex(GOLDEN_HASH)


def test_luajit_agrees_on_every_offset() -> None:
    lua = Runtime({})
    lua.execute("require('ffi').cdef(...)", layout.cdef().encode())
    for record, field, offset in layout.facts():
        names = [part.encode() for part in (record, field) if part]
        assert lua.execute(ASK, *names) == offset, f"{record}.{field}"


def test_a_worker_accepts_the_layout() -> None:
    lua = Runtime({})
    declare = lua.require("beespace.engine.table")[b"declare"]
    lua.call(declare, layout.cdef().encode(), facts_text().encode())


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [(r"(bee_slot_t state) \d+", r"\1 16"), (r"(bee_row_t ) \d+", r"\1 1024")],
)
def test_a_worker_refuses_another_layout(pattern: str, replacement: str) -> None:
    changed, count = re.subn(pattern, replacement, facts_text())
    assert count == 1
    lua = Runtime({})
    declare = lua.require("beespace.engine.table")[b"declare"]
    with pytest.raises(LuaFailureError, match="layout differs: "):
        lua.call(declare, layout.cdef().encode(), changed.encode())


def test_lua_writes_what_python_reads() -> None:
    memory = bytearray(layout.SLOT.size)
    slot = layout.Slot.from_buffer(memory)
    lua = Runtime({})
    lua.execute("require('ffi').cdef(...)", layout.cdef().encode())
    store = """
        local ffi = require('ffi')
        local slot = ffi.cast('bee_slot_t *', ...)
        slot.id, slot.worker, slot.listener, slot.peer_len = 70368744177664, 3, 2, 4
        slot.connected, slot.uid, slot.reason = 1.5, 31, 7
        ffi.copy(slot.peer, 'abcd')
    """
    lua.execute(store, ctypes.addressof(slot))
    assert (slot.id, slot.worker, slot.listener, slot.peer_len) == (2**46, 3, 2, 4)
    assert (slot.connected, slot.uid, slot.reason, slot.peer) == (1.5, 31, 7, b"abcd")


@pytest.mark.parametrize(
    ("structure", "field", "offset"),
    [
        (layout.Header, "events_offset", 96),
        (layout.Header, "triggers_offset", 128),
        (layout.Header, "trigger_generation", 320),
        (layout.Header, "trigger_lock", 328),
        (layout.Header, "event_generation", 384),
        (layout.Header, "event_lock", 448),
        (layout.Header, "failures_offset", 144),
        (layout.Header, "failure_lock", 512),
        (layout.Header, "tally_lock", 576),
        (layout.Header, "phase", 776),
        (layout.Header, "metrics_turns", 832),
        (layout.Header, "listener_names", 896),
        (layout.Row, "inbox_lock", 320),
        (layout.Slot, "inbox_bytes", 184),
    ],
)
def test_what_is_locked_lies_where_the_readme_says(
    structure: type[ctypes.Structure], field: str, offset: int
) -> None:
    assert getattr(structure, field).offset == offset
