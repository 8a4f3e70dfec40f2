"""The one definition of the shared segment, for both languages.

Every structure is declared here as data: fields with type, unit and their one writer. From that
this module makes ctypes structures for Python and the C text that LuaJIT reads through
``ffi.cdef``. A worker compares sizes and offsets of both at start (:func:`facts`), and the segment
begins with the hash of that text, so that no two builds can share one segment.

    segment:  header | worker rows | session slots | events | triggers | failures | tallies
              | orders | history               where each begins: shm/regions.py

Rules the tests hold us to: a field has exactly one writer (``HANDOVER`` means: whoever owns the
slot in its present state, see :mod:`shm.states`; ``LOCKED``: whoever holds the lock that the field
names; ``ANYBODY``: of two values stored at once either will do), and two fields with different
writers never fall in one 64-byte cache line. One exception: ``inbox_bytes`` lies beside the figures
of its slot, since what moves it moves them as well, and ``inbox_phase`` with it.

The events behind the slots are the bytes of a log, see workers/lua/engine/events.lua; behind them
are the lists of triggers, see workers/lua/engine/triggers.lua, and records of failed logins, see
workers/lua/engine/failures.lua; sessions counted by user, see workers/lua/engine/tallies.lua; what
others want of a session's worker, see :mod:`shm.orders`; and the sessions that ended last, see
:mod:`shm.history`.
"""

from __future__ import annotations

import ctypes
import hashlib
from typing import Final

from shm.record import Field, Record, Writer

MAGIC: Final = int.from_bytes(b"beespace", "little")
MAX_WORKERS: Final = 256
MAX_LISTENERS: Final = 16
"""Most listeners of clients; consoles and the control socket come on top."""
MAX_CONSOLES: Final = 8
"""Most listeners of consoles."""
NO_LISTENER: Final = 255
ADOPTED: Final = 254
"""Listener of a session whose descriptor came from its worker: box.session.new."""
LISTENER_BYTES: Final = 96
PEER_BYTES: Final = 83
TEXT_BYTES: Final = 60
"""Room for a session's name and attributes."""
SALT_BYTES: Final = 20
REASONS: Final = 16
"""Counters of reasons; :class:`shm.states.EndReason` has fewer."""
BASES: Final = 16
"""Counters of a row that box.stat.reset sets to 0, and room for more."""
HISTORY: Final = 1024
"""Ended sessions that each worker's ring of the history holds, and the supervisor's."""
LOCK_BYTES: Final = 40
"""Size of a pthread mutex, see :mod:`shm.locks`."""
ID_BITS: Final = 53
"""Bits of a session id in an order's word."""
TRIGGERS_BYTES: Final = 1 << 20
"""Size of the trigger lists, both halves."""
FAILURES: Final = 8192
"""Records of failed logins; a multiple of 4, since Lua gives each kind of key its share."""
FAILURE_TEXT_BYTES: Final = 82


_S, _A, _W, _H = Writer.SUPERVISOR, Writer.ACCEPTOR, Writer.WORKER, Writer.HANDOVER
_L, _M, _B = Writer.LOCKED, Writer.METRICS, Writer.ANYBODY

HEADER: Final = Record(
    "bee_header_t",
    4096,
    (
        (
            Field("magic", "u64", _S, "the text 'beespace'"),
            Field("layout_hash", "u64", _S, "hash of the C text of this layout"),
            Field("size", "u64", _S, "bytes of the whole segment"),
            Field("capacity", "u32", _S, "session slots"),
            Field("workers", "u32", _S, "rows that workers may have, also those that are free"),
            Field("rows_offset", "u32", _S, "bytes from the start to the first worker row"),
            Field("slots_offset", "u32", _S, "bytes from the start to the first slot"),
            Field("started", "f64", _S, "start of the server, seconds since the epoch"),
            Field("boot_id", "u8", _S, "random, new at every start", 16),
        ),
        (
            Field("supervisor_pid", "u32", _S, "process id"),
            Field("acceptor_pid", "u32", _S, "process id, 0 while there is none"),
            Field("acceptor_restarts", "u32", _S, "acceptors started after the first"),
            Field("listeners", "u32", _S, "used entries of listener_names"),
            Field("instance", "u8", _S, "uuid of this server, announced in the greeting", 16),
            Field("events_offset", "u64", _S, "bytes from the start to the events"),
            Field("events_size", "u64", _S, "bytes of the events, both halves"),
            Field("control_listener", "u32", _S, "index of the control socket, or NO_LISTENER"),
            Field("reserved", "u32", _S, "slots that only the server's own sockets may take"),
        ),
        (
            Field("triggers_offset", "u64", _S, "bytes from the start to the triggers"),
            Field("triggers_size", "u64", _S, "bytes of the triggers, both halves"),
            Field("failures_offset", "u64", _S, "bytes from the start to the failures"),
            Field("failures", "u32", _S, "records of failed logins"),
            Field("first_console", "u32", _S, "index of the first listener of consoles"),
            Field("consoles", "u32", _S, "listeners of consoles, one behind the other"),
            Field("own_console", "u32", _S, "that in the run directory, or NO_LISTENER"),
            Field("tallies_offset", "u64", _S, "bytes from the start to the tallies"),
            Field("tallies", "u32", _S, "tallies of users, a power of 2"),
            Field("serving", "u32", _S, "workers that are meant to serve"),
        ),
        (
            Field("last_id", "u64", _A, "newest session id given out", volatile=True),
            Field("claimed", "u64", _A, "sessions claimed since start"),
            Field("released", "u64", _A, "claims the acceptor took back itself"),
            Field("refused", "u64", _A, "connections refused because the table was full"),
            Field("accept_errors", "u64", _A, "failed accept calls"),
            Field("acceptor_turns", "u64", _A, "turns of the accept loop", volatile=True),
        ),
        (
            Field("catalog_generation", "f64", _B, "random, moves with the catalog", volatile=True),
            Field("stat_reset", "f64", _B, "last box.stat.reset, monotonic, or 0", volatile=True),
            Field("ordered", "u32", _B, "1 once anything was ordered of a session", volatile=True),
        ),
        (
            Field("trigger_generation", "u64", _L, "moves under trigger_lock", volatile=True),
            Field("trigger_lock", "u8", _L, "mutex of the triggers", LOCK_BYTES),
        ),
        (Field("event_generation", "u64", _L, "moves under event_lock", volatile=True),),
        (Field("event_lock", "u8", _L, "mutex of the events", LOCK_BYTES),),
        (Field("failure_lock", "u8", _L, "mutex of the failures", LOCK_BYTES),),
        (
            Field("tally_lock", "u8", _L, "mutex of the tallies", LOCK_BYTES),
            Field("tallied", "u64", _L, "sum of the rows' reclaimed when all were counted anew"),
            Field("tallies_used", "u32", _L, "tallies that some user has or had"),
        ),
        (
            Field("refused_address", "u64", _A, "refused for their address's sessions"),
            Field("rate_waits", "u64", _A, "times accepting waited for session.limits.accept_rate"),
            Field("room_waits", "u64", _A, "times accepting waited for workers' descriptors"),
            Field("proxy_untrusted", "u64", _A, "closed: no trusted proxy"),
            Field("proxy_malformed", "u64", _A, "closed: no PROXY header or a wrong one"),
            Field("proxy_late", "u64", _A, "closed: the PROXY header did not come in time"),
        ),
        (
            Field("orders_offset", "u64", _S, "bytes from the start to the orders"),
            Field("history_offset", "u64", _S, "bytes from the start to the history"),
            Field("buried", "u64", _S, "records that the supervisor wrote into its history"),
            Field("history", "u32", _S, "records of each ring of the history"),
        ),
        (
            Field("supervisor_turned", "f64", _S, "sign of life, monotonic seconds", volatile=True),
            Field("phase", "u32", _S, "see shm.states.Phase", volatile=True),
            Field("acceptor_state", "u32", _S, "see shm.states.WorkerState", volatile=True),
            Field("acceptor_storm", "u32", _S, "1: it dies again and again"),
            Field("metrics_pid", "u32", _S, "process id, 0 while there is none"),
            Field("metrics_restarts", "u32", _S, "processes of metrics started after the first"),
        ),
        (Field("metrics_turns", "u64", _M, "turns of its loop", volatile=True),),
        (
            Field(
                "listener_names",
                "char",
                _S,
                "URIs, LISTENER_BYTES each, NUL padded",
                LISTENER_BYTES * (MAX_LISTENERS + MAX_CONSOLES + 1),
            ),
        ),
    ),
)

ROW: Final = Record(
    "bee_row_t",
    832,
    (
        (
            Field("pid", "u32", _S, "process id, 0 while there is none"),
            Field("state", "u32", _S, "see shm.states.WorkerState", volatile=True),
            Field("started", "f64", _S, "start of this process, seconds since the epoch"),
            Field("restarts", "u32", _S, "processes started after the first"),
            Field("cpu_permille", "u32", _S, "recent CPU use, thousandths of one core"),
            Field("reclaimed", "u64", _S, "slots freed after a process of this row died"),
            Field("number", "u32", _S, "what people call the worker: 0 ... header.serving - 1"),
            Field("on_duty", "u32", _S, "1: meant to serve; 0: free, new, or it drains"),
            Field("generation", "u32", _S, "which loading of the application it runs"),
            Field("storm", "u32", _S, "1: it dies again and again"),
            Field("lost", "u64", _S, "sessions that ended since a process of this row died"),
        ),
        (Field("assigned", "u64", _A, "sessions handed to this worker since start"),),
        (
            Field("heartbeat", "u64", _W, "turns of the loop", volatile=True),
            Field("freed", "u64", _W, "sessions ended by this worker since start"),
            Field("sessions", "u64", _W, "sessions it holds now"),
            Field("loop_time", "u64", _W, "longest recent turn, nanoseconds"),
            Field("lua_heap", "u64", _W, "bytes of Lua memory"),
            Field("fibers", "u64", _W, "fibers alive"),
            Field("jit_traces", "u64", _W, "traces compiled since start"),
            Field("jit_aborts", "u64", _W, "trace aborts since start"),
        ),
        (
            Field("requests", "u64", _W, "requests answered, all types"),
            Field("pings", "u64", _W, "PING requests"),
            Field("calls", "u64", _W, "CALL and CALL_16 requests"),
            Field("evals", "u64", _W, "EVAL requests"),
            Field("selects", "u64", _W, "SELECT requests"),
            Field("auths", "u64", _W, "AUTH requests"),
            Field("others", "u64", _W, "requests of any other type"),
            Field("errors", "u64", _W, "requests answered with an error"),
            Field("bytes_in", "u64", _W, "bytes received from clients"),
            Field("bytes_out", "u64", _W, "bytes sent to clients"),
            Field("protocol_errors", "u64", _W, "packets that could not be read"),
            Field("lost_begun", "u64", _W, "lost sessions it began to end, see server.lost"),
            Field("lost_running", "u64", _W, "those of them whose on_disconnect is not over"),
            Field("stopped_pid", "u64", _W, "last process of the row that ended as it was asked"),
            Field("kept", "u64", _W, "sockets of sessions that have ended, kept for a while"),
            Field("own_fds", "u64", _W, "descriptors that are no session's, a second ago"),
        ),
        (Field("inbox_lock", "u8", _L, "mutex of its sessions' inbox_bytes", LOCK_BYTES),),
        (Field("ended", "u64", _W, "sessions it ended, by shm.states.EndReason", REASONS),),
        (
            Field("buried", "u64", _W, "records that it wrote into its history"),
            Field("in_progress", "u64", _W, "requests being executed that wait"),
            Field("queued", "u64", _W, "requests that wait for their stream"),
            Field("streams", "u64", _W, "streams that have requests"),
            Field("slow", "u64", _W, "requests that took longer than log.slow_request"),
            Field("wrong_logins", "u64", _W, "logins that failed"),
            Field("refused_logins", "u64", _W, "logins refused because of the failures before"),
            Field("queued_ever", "u64", _W, "requests that had to wait for their stream"),
            Field("streams_ever", "u64", _W, "times that a stream began to have requests"),
        ),
        (Field("alarm", "f64", _B, "random, moves with orders for its sessions", volatile=True),),
        (Field("bases", "u64", _B, "what box.stat counts from, see engine/rates.lua", BASES),),
    ),
)

SLOT: Final = Record(
    "bee_slot_t",
    256,
    (
        (
            Field("id", "u64", _H, "session id; written last, zeroed first", volatile=True),
            Field("state", "u32", _H, "see shm.states.SlotState", volatile=True),
            Field("worker", "u16", _H, "row of the worker that owns the session"),
            Field("type", "u8", _H, "see shm.states.SessionType"),
            Field("listener", "u8", _H, "index in listener_names, or ADOPTED"),
            Field("connected", "f64", _H, "accept time, seconds since the epoch"),
            Field("salt", "u8", _H, "random bytes of the greeting", SALT_BYTES),
            Field("peer_len", "u8", _H, "bytes used in peer"),
            Field("peer", "char", _H, "address text, e.g. 127.0.0.1:55457", PEER_BYTES),
        ),
        (
            Field("requests", "u64", _W, "requests answered"),
            Field("bytes_in", "u64", _W, "bytes received"),
            Field("bytes_out", "u64", _W, "bytes sent"),
            Field(
                "last_request",
                "f64",
                _W,
                "when bytes came or a request ended last, monotonic seconds, 0: not yet",
            ),
            Field("pending_out", "u32", _W, "bytes waiting to be sent"),
            Field(
                "opened",
                "u32",
                _W,
                "when it was let in, monotonic hundredths of a second, 0: on_connect is to begin",
            ),
            Field("in_flight", "u32", _W, "requests being executed"),
            Field("uid", "u32", _W, "user id of the session"),
            Field("reason", "u32", _W, "why it ends, see shm.states.EndReason"),
            Field("fd", "u32", _W, "descriptor of the socket in the owning worker"),
            Field(
                "inbox_bytes",
                "u32",
                _L,
                "bytes in the inbox or on their way there, under inbox_lock of the owner's row",
            ),
            Field(
                "inbox_phase",
                "u32",
                _L,
                "moves when a sender's process has died: tells what was reserved before",
            ),
        ),
        (
            Field("name_len", "u8", _W, "bytes of text that are the session's name"),
            Field(
                "attrs_len", "u8", _W, "bytes of text behind it: attributes as a MessagePack map"
            ),
            Field(
                "text_version",
                "u16",
                _W,
                "odd while the text and its lengths change",
                volatile=True,
            ),
            Field("text", "char", _W, "name and attributes", TEXT_BYTES),
        ),
    ),
)

FAILURE: Final = Record(
    "bee_failure_t",
    128,
    (
        (
            Field("key", "f64", _L, "hash of the user name or address, 0: free; written last"),
            Field("first", "f64", _L, "start of the recent failures, monotonic seconds"),
            Field("last", "f64", _L, "newest failure or refusal, seconds since the epoch"),
            Field("count", "u64", _L, "failures in all"),
            Field("refused", "u32", _L, "attempts refused because of the failures before"),
            Field("consecutive", "u32", _L, "failures since the last success"),
            Field("recent", "u32", _L, "failures that count for the delay"),
            Field("kind", "u8", _L, "1 known user, 2 unknown user, 3 address"),
            Field("length", "u8", _L, "bytes of text in use"),
            Field("text", "char", _L, "user name, cut, or address", FAILURE_TEXT_BYTES),
        ),
    ),
)

TALLY: Final = Record(
    "bee_tally_t",
    8,
    (
        (
            Field("uid", "u32", _L, "id of a user, 0: free"),
            Field("sessions", "u32", _L, "sessions of this user whose clients are there"),
        ),
    ),
)

ORDER: Final = Record(
    "bee_order_t",
    8,
    (
        (
            Field(
                "word",
                "u64",
                Writer.ANYBODY,
                "id of the slot's session, with what is wanted above ID_BITS",
                volatile=True,
            ),
        ),
    ),
)

END: Final = Record(
    "bee_end_t",
    256,
    (
        (
            Field("id", "u64", _H, "session id; written last, zeroed first", volatile=True),
            Field("connected", "f64", _H, "accept time, seconds since the epoch"),
            Field("ended", "f64", _H, "end of the session, seconds since the epoch"),
            Field("requests", "u64", _H, "requests answered"),
            Field("bytes_in", "u64", _H, "bytes received"),
            Field("bytes_out", "u64", _H, "bytes sent"),
            Field("uid", "u32", _H, "user id of the session"),
            Field("number", "u16", _H, "number of its worker"),
            Field("type", "u8", _H, "see shm.states.SessionType"),
            Field("listener", "u8", _H, "index in listener_names, or ADOPTED"),
            Field("reason", "u8", _H, "see shm.states.EndReason"),
            Field("peer_len", "u8", _H, "bytes used in peer"),
            Field("name_len", "u8", _H, "bytes of text that are the session's name"),
            Field("attrs_len", "u8", _H, "bytes of text behind it: attributes"),
            Field("peer", "char", _H, "address text, e.g. 127.0.0.1:55457", PEER_BYTES),
            Field("text", "char", _H, "name and attributes", TEXT_BYTES),
        ),
    ),
)
"""A ring belongs to the worker of its row; that behind the last one to the supervisor."""

RECORDS: Final = (HEADER, ROW, SLOT, FAILURE, TALLY, ORDER, END)
Header: Final = HEADER.structure()
Row: Final = ROW.structure()
Slot: Final = SLOT.structure()
Failure: Final = FAILURE.structure()
Tally: Final = TALLY.structure()
Order: Final = ORDER.structure()
End: Final = END.structure()
STRUCTURES: Final = (Header, Row, Slot, Failure, Tally, Order, End)
"""Those of RECORDS for Python."""


def cdef() -> str:
    """The C text of the whole layout, for ``ffi.cdef``."""
    return "".join(record.declaration() for record in RECORDS)


def layout_hash() -> int:
    """First 8 bytes of the SHA-256 of :func:`cdef`."""
    return int.from_bytes(hashlib.sha256(cdef().encode()).digest()[:8], "little")


def facts() -> list[tuple[str, str, int]]:
    """What LuaJIT must agree to: (record, field, offset) for all, and (record, "", size)."""
    found: list[tuple[str, str, int]] = []
    for record, made in zip(RECORDS, STRUCTURES, strict=True):
        found.append((record.name, "", ctypes.sizeof(made)))
        found.extend(
            (record.name, field.name, getattr(made, field.name).offset) for field in record.fields()
        )
    return found
