"""``box.session`` function by function: results, argument errors, storage, both result modes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from server.version import beespace_version
from tests.helpers.raw import EVAL, Raw, request
from tests.helpers.server import Server, running
from tests.helpers.wait import wait_until

INT64 = "expected int64_t as -1 argument"
MISSING = "session.{}(): session does not exist"
NUMBER = "bad argument #1 to '?' (number expected, got {})"
BAD_IDS = ["nil", "true", "{}", "box.NULL", "'x'"]
BAD_KINDS = ["nil", "boolean", "table", "cdata", "string"]


@pytest.fixture(scope="module")
def lone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with one worker, where all connections share the same Lua."""
    with running(tmp_path_factory.mktemp("lone"), workers=1) as server:
        yield server


def error_of(client: Raw, expression: str) -> tuple[int, str]:
    answer = client.eval(f"return {expression}")
    return answer.code, answer.text


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("box.session.exists(1, 2)", "session.exists(sid): bad arguments"),
        ("box.session.peer(1, 2)", "session.peer(sid): bad arguments"),
        ("box.session.fd(1, 2)", "session.fd(sid): bad arguments"),
        ("box.session.fd(10^9)", MISSING.format("fd")),
        *((f"box.session.exists({bad})", INT64) for bad in BAD_IDS),
        *((f"box.session.fd({bad})", INT64) for bad in BAD_IDS),
        *(
            (f"box.session.peer({bad})", NUMBER.format(kind))
            for bad, kind in zip(BAD_IDS, BAD_KINDS, strict=True)
        ),
    ],
)
def test_argument_errors(client: Raw, expression: str, text: str) -> None:
    assert error_of(client, expression) == (32, text)


@pytest.mark.parametrize("number", ["id + 0.9", "tostring(id)", "id + 0ULL", "id + 0LL"])
def test_exists_understands_every_form_of_a_number(client: Raw, number: str) -> None:
    source = f"local id = box.session.id() return box.session.exists({number})"
    assert client.eval(source).data == [1]


@pytest.mark.parametrize("number", ["0/0", "2^64", "-1", "0", "1/0", "-2^63", "-1ULL"])
def test_exists_is_zero_for_numbers_that_are_no_id(client: Raw, number: str) -> None:
    assert client.eval(f"return box.session.exists({number})").data == [0]


@pytest.mark.parametrize("number", ["id + 0.9", "tostring(id)"])
def test_peer_understands_numbers(client: Raw, number: str) -> None:
    source = f"local id = box.session.id() return box.session.peer({number})"
    assert client.eval(source).data == [client.name]


def test_without_argument_the_own_session_is_meant(client: Raw) -> None:
    assert client.eval("return box.session.exists(), box.session.peer()").data == [1, client.name]


def test_id_and_type_ignore_arguments(client: Raw) -> None:
    told = client.eval("local s = box.session return s.id(1, 2) == s.id(), s.type(1), s.type()")
    assert told.data == [True, "binary", "binary"]


def test_fd(client: Raw) -> None:
    told = client.eval("local s = box.session return s.fd(), s.fd() == s.fd(s.id())").data
    assert told[0] > 2
    assert told[1] is True


@pytest.mark.parametrize("sync", [0, 1, 2**31, 2**32 + 7, 10**14 - 1, 10**14, 2**53 + 1, 2**64 - 1])
def test_sync_is_the_requests(client: Raw, sync: int) -> None:
    client.send(request({0: EVAL, 1: sync}, {0x27: "return box.session.sync()", 0x21: []}))
    answer = client.packet()
    assert (answer.sync, answer.data) == (sync, [sync])


def test_three_names_of_one_table(client: Raw) -> None:
    source = "return rawequal(box.session, db.session), rawequal(box.session, session)"
    assert client.eval(source).data == [True, True]


def test_names_reach_it_by_call(client: Raw) -> None:
    told = [client.call(f"{name}.id").data for name in ("box.session", "db.session", "session")]
    assert told[0] == told[1] == told[2]


def test_unknown_members_are_nil(client: Raw) -> None:
    assert client.eval("return box.session.nosuch").data == [None]


def test_info(client: Raw, shared: Server) -> None:
    told = client.eval(
        "local i = box.info return i.version, i.package_version, i.pid, i.uptime, i.worker"
    ).data
    assert told[0].startswith("2.11.0")
    assert told[1] == beespace_version()
    (worker,) = [process for process in shared.children() if process.pid == told[2]]
    assert 0 <= told[3] < time.time() - worker.create_time() + 1
    assert told[4]["count"] == 2
    assert told[4]["id"] in (0, 1)


# Storage


def test_storage_is_one_table(client: Raw) -> None:
    assert client.eval("return box.session.storage == box.session.storage").data == [True]
    client.eval("box.session.storage.x = {1}")
    assert client.eval("return box.session.storage.x").data == [[1]]


def test_storage_keeps_what_cannot_be_sent(client: Raw) -> None:
    client.eval("box.session.storage.f = function(a) return a + 1 end")
    assert client.eval("return box.session.storage.f(1)").data == [2]


def test_storage_of_others_is_another_table(shared: Server) -> None:
    clients = [Raw(shared.address) for _ in range(4)]
    try:
        for number, client in enumerate(clients):
            client.eval("box.session.storage.mine = ...", number)
        told = [client.eval("return box.session.storage.mine").data[0] for client in clients]
        assert told == [0, 1, 2, 3]
    finally:
        for client in clients:
            client.close()


def test_registry_of_storages(lone: Server) -> None:
    registry = "local id = ... return getmetatable(box.session).aggregate_storage[id]"
    with Raw(lone.address) as client, Raw(lone.address) as other:
        number = other.call("box.session.id").data[0]
        assert client.eval(registry, number).data == [None]
        other.eval("box.session.storage.x = 5")
        assert client.eval(registry, number).data == [{"x": 5}]
        other.close()
        wait_until(lambda: client.eval(registry, number).data == [None], what="storage dropped")


# Result modes


@pytest.fixture(scope="module")
def modern(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Raw]:
    """A connection to a server with Tarantool's results."""
    folder = tmp_path_factory.mktemp("modern")
    settings: dict[str, Any] = {"compat": {"session_results": "new"}}
    options: dict[str, Any] = {"workers": 1, "settings": settings}
    with running(folder, **options) as server, Raw(server.address) as client:
        yield client


def test_default_results(client: Raw) -> None:
    told = client.eval("local s = box.session return s.exists(), s.exists(10^9), s.peer(10^9)").data
    assert told == [1, 0, "0.0.0.0:0"]
    assert [type(value) for value in told] == [int, int, str]


def test_results_by_setting(modern: Raw) -> None:
    told = modern.eval("local s = box.session return s.exists(), s.exists(10^9)").data
    assert told == [True, False]
    assert [type(value) for value in told] == [bool, bool]
    told = modern.eval("return pcall(box.session.peer, 99999999)").data
    assert told == [False, MISSING.format("peer")]
    assert error_of(modern, "box.session.peer(10^9)") == (32, MISSING.format("peer"))
    assert modern.call("box.session.exists", 10**9).data == [False]


def test_results_change_at_run_time(lone: Server) -> None:
    with Raw(lone.address) as client:
        asked = "local s = box.session return s.exists(), s.exists(10^9), pcall(s.peer, 10^9)"
        old: list[object] = [1, 0, True, "0.0.0.0:0"]
        new: list[object] = [True, False, False, MISSING.format("peer")]
        assert client.eval(asked).data == old
        for mode, expected in [("new", new), ("old", old), ("new", new), ("default", old)]:
            client.eval("require('compat').session_results = ...", mode)
            told = client.eval(asked).data
            assert told == expected
            assert [type(value) for value in told] == [type(value) for value in expected]


def test_bad_mode_is_refused(lone: Server) -> None:
    with Raw(lone.address) as client:
        answer = client.eval("require('compat').session_results = 'sideways'")
        assert answer.code == 32
        assert "session_results" in answer.text or "sideways" in answer.text
        assert client.eval("return box.session.exists()").data == [1]
