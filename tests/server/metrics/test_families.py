"""What metrics say of a server, read by prometheus_client's own parsers."""

from __future__ import annotations

from collections import Counter

from server.metrics.own import MOST_USERS
from shm import layout
from shm.states import EndReason, Phase, SessionType, SlotState, WorkerState
from tests.server.metrics.hive import ADMIN, URIS, Hive


def test_the_server(hive: Hive) -> None:
    assert hive.values("beespace_build_info", "version") == {"1.2.3": 1}
    assert hive.value("beespace_start_time_seconds") == hive.segment.header.started
    assert hive.values("beespace_phase", "phase") == {
        "booting": 0,
        "filling": 0,
        "running": 1,
        "stopping": 0,
    }
    assert hive.value("beespace_acceptor_up") == 1
    hive.segment.header.acceptor_pid = 4_000_010
    assert hive.value("beespace_ready") == 1
    hive.segment.rows[1].state = WorkerState.DEAD
    assert hive.value("beespace_ready") == 0
    states = hive.values("beespace_workers", "state")
    assert (states["ready"], states["dead"], states["draining"]) == (1, 1, 0)
    hive.segment.header.phase = Phase.STOPPING
    assert hive.values("tnt_config_status", "status") == {"startup_in_progress": 1}


def test_sessions_by_kind(hive: Hive) -> None:
    hive.claim().pending_out = 5
    hive.claim(listener=1).inbox_bytes = 7
    hive.claim(listener=1)
    hive.claim(listener=2, kind=SessionType.CONSOLE)
    hive.claim(listener=layout.ADOPTED, state=SlotState.CLOSING)
    hive.claim(state=SlotState.CLAIMED)
    assert hive.values("beespace_sessions", "state", "type", "listener") == {
        ("claimed", "binary", URIS[0]): 1,
        ("live", "binary", URIS[0]): 1,
        ("live", "binary", URIS[1]): 2,
        ("live", "console", URIS[2]): 1,
        ("closing", "binary", "new"): 1,
    }
    assert hive.value("tnt_net_connections_current") == 6
    assert hive.value("tnt_net_connections_total") == 6
    assert hive.value("beespace_output_pending_bytes") == 5
    assert hive.value("beespace_inbox_bytes") == 7
    assert hive.value("tnt_info_memory_net") == 12
    assert hive.value("beespace_sessions_limit") == 1000


def test_sessions_by_user(hive: Hive) -> None:
    (uid,) = hive.users('a"d\\a')
    for each in (0, uid, uid, ADMIN, 77):
        hive.claim(uid=each)
    assert hive.values("beespace_user_sessions", "user") == {
        "guest": 1,
        "admin": 1,
        'a"d\\a': 2,
        "": 1,
    }


def test_not_every_user_is_named(hive: Hive) -> None:
    uids = hive.users(*(f"bee{number}" for number in range(MOST_USERS + 5)))
    for uid in uids:
        hive.claim(uid=uid)
    for uid in uids[5:]:
        hive.claim(uid=uid)
    found = hive.values("beespace_user_sessions", "user")
    assert len(found) == MOST_USERS + 1
    assert found.pop("") == 5
    assert found == {f"bee{number}": 2 for number in range(5, MOST_USERS + 5)}


def test_ends_of_sessions(hive: Hive) -> None:
    for index, row in enumerate(hive.segment.rows[:4]):
        row.ended[EndReason.CLIENT] = 10**index
        # Slots that were freed, and those of them whose end no worker had counted.
        row.reclaimed, row.lost = 2 * index, index
    hive.segment.rows[3].ended[EndReason.KILLED] = 3
    found = hive.values("beespace_sessions_ended_total", "reason")
    assert set(found) == {each.name.lower() for each in EndReason if each}
    assert (found["client"], found["killed"], found["worker_died"]) == (1111, 3, 6)


def test_connections(hive: Hive) -> None:
    header = hive.segment.header
    header.claimed, header.released, header.accept_errors = 100, 3, 4
    header.refused, header.refused_address = 5, 6
    header.proxy_untrusted, header.proxy_malformed, header.proxy_late = 7, 8, 9
    header.rate_waits, header.room_waits = 10, 11
    assert hive.value("beespace_sessions_claimed_total") == 100
    assert hive.value("beespace_sessions_released_total") == 3
    assert hive.value("beespace_accept_errors_total") == 4
    assert hive.values("beespace_connections_refused_total", "reason") == {
        "table_full": 5,
        "address_limit": 6,
        "proxy_untrusted": 7,
        "proxy_malformed": 8,
        "proxy_late": 9,
    }
    waits = {"accept_rate": 10, "descriptors": 11}
    assert hive.values("beespace_accept_waits_total", "reason") == waits


def test_requests(hive: Hive) -> None:
    kinds = ("pings", "calls", "evals", "selects", "auths", "others")
    for index, row in enumerate(hive.segment.rows[:4]):
        for place, kind in enumerate(kinds):
            setattr(row, kind, (place + 1) * 10**index)
        row.requests, row.errors, row.slow = 21 * 10**index, 1, 2
        row.bytes_in, row.bytes_out, row.protocol_errors = 1 << 40, 1 << 41, 3
        row.wrong_logins, row.refused_logins = 4, 5
    by_type = hive.values("beespace_requests_total", "type")
    assert by_type == {
        "ping": 1111,
        "call": 2222,
        "eval": 3333,
        "select": 4444,
        "auth": 5555,
        "other": 6666,
    }
    assert hive.value("tnt_net_requests_total") == sum(by_type.values())
    operations = hive.values("tnt_stats_op_total", "operation")
    assert {name: value for name, value in operations.items() if value} == {
        "call": 2222,
        "eval": 3333,
        "select": 4444,
        "auth": 5555,
        "error": 4,
    }
    assert hive.value("beespace_request_errors_total") == 4
    assert hive.value("beespace_slow_requests_total") == 8
    assert hive.value("beespace_protocol_errors_total") == 12
    assert hive.values("beespace_login_failures_total", "reason") == {"wrong": 16, "delayed": 20}
    for name in ("tnt_net_received_total", "beespace_received_bytes_total"):
        assert hive.value(name) == 4 << 40
    for name in ("tnt_net_sent_total", "beespace_sent_bytes_total"):
        assert hive.value(name) == 4 << 41


def test_workers(hive: Hive) -> None:
    for row, value in ((hive.segment.rows[0], 1), (hive.segment.rows[1], 2)):
        row.sessions, row.in_progress, row.queued, row.streams = value, value, value * 10, value
        row.assigned, row.requests, row.heartbeat = value * 5, value * 100, value * 7
        row.queued_ever = value * 1000
        row.loop_time, row.lua_heap, row.fibers = value * 1_500_000, value << 20, value + 3
    expected: dict[str, float] = {
        "up": 1,
        "sessions": 2,
        "requests_in_progress": 2,
        "requests_queued": 20,
        "streams": 2,
        "assigned_sessions_total": 10,
        "requests_total": 200,
        "turns_total": 14,
        "loop_time_seconds": 0.003,
        "lua_heap_bytes": 2 << 20,
        "fibers": 5,
    }
    for name, number in expected.items():
        assert hive.values(f"beespace_worker_{name}", "worker", "row")["1", "1"] == number, name
    prefix = "tnt_net_per_thread"
    current = hive.values(f"{prefix}_requests_current", "thread", "row")
    assert current == {("0", "0"): 11, ("1", "1"): 22}
    assert hive.value("tnt_net_requests_current") == 33
    assert hive.values(f"{prefix}_connections_total", "thread", "row")["1", "1"] == 10
    assert hive.values(f"{prefix}_connections_current", "thread", "row")["1", "1"] == 2
    queued = hive.values(f"{prefix}_requests_in_stream_queue_total", "thread", "row")
    assert queued == {("0", "0"): 1000, ("1", "1"): 2000}
    assert hive.value("tnt_net_requests_in_stream_queue_total") == 3000
    assert hive.value("tnt_fiber_amount") == 9
    assert hive.value("tnt_ev_loop_time") == 3
    assert hive.value("tnt_runtime_lua") == hive.value("lj_gc_memory") == 3 << 20


def test_an_old_worker_and_the_new_one_with_its_number(hive: Hive) -> None:
    rows = hive.segment.rows
    rows[1].on_duty, rows[1].state = 0, WorkerState.DRAINING
    rows[2].number, rows[2].on_duty, rows[2].pid = 1, 1, 4_000_002
    rows[2].state, rows[1].requests, rows[2].requests = WorkerState.READY, 5, 6
    found = hive.values("beespace_worker_requests_total", "worker", "row")
    assert found == {("0", "0"): 0, ("1", "1"): 5, ("1", "2"): 6}
    before = hive.values("beespace_requests_total", "type")
    assert hive.values("beespace_worker_up", "worker", "row")["1", "1"] == 1
    # The old one is over: its row tells of nobody, but what it did still counts.
    rows[1].pid, rows[1].state = 0, WorkerState.ABSENT
    found = hive.values("beespace_worker_requests_total", "worker", "row")
    assert found == {("0", "0"): 0, ("1", "2"): 6}
    assert hive.value("tnt_net_requests_total") == 11
    assert hive.values("beespace_requests_total", "type") == before


def test_a_worker_that_is_dead_is_told_of(hive: Hive) -> None:
    row = hive.segment.rows[1]
    row.pid, row.state, row.restarts, row.sessions = 0, WorkerState.DEAD, 3, 9
    assert hive.values("beespace_worker_up", "worker") == {"0": 1, "1": 0}
    assert hive.values("beespace_worker_restarts_total", "worker") == {"0": 0, "1": 3}
    assert hive.values("beespace_worker_sessions", "worker") == {"0": 0, "1": 0}


def test_a_server_without_workers_has_no_series_of_them(hive: Hive) -> None:
    for row in hive.segment.rows[:2]:
        row.pid = row.on_duty = 0
    names = Counter(name for name, _ in hive.samples())
    assert [name for name in names if "worker_" in name or "thread_" in name] == []
    assert names["beespace_workers"] == len(WorkerState)
