"""box.session: ids, existence, peers, descriptors, syncs, storage; both kinds of results."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers.engine import SALT, Client, Engine, error_of
from tests.helpers.raw import CALL, frame, pack

PEERS = [b"127.0.0.1:4000", b"[::1]:59784", b"unix/:(socket)", b"x" * 83, b"y" * 100]


@pytest.fixture(scope="module")
def new() -> Iterator[Engine]:
    """An engine whose results are those of the newest version."""
    with Engine(results="new") as made:
        yield made


def fails(client: Client, source: str) -> str:
    """Text of the error that an expression raises, which is a plain Lua error."""
    answer = client.eval("return " + source)
    assert answer.code == 32, answer
    assert answer.stack[0][0] == "LuajitError"
    return answer.text


# Ids and existence -------------------------------------------------------------------------------


@pytest.mark.parametrize("table", ["box.session", "db.session", "session"])
def test_the_three_names_are_one_table(client: Client, table: str) -> None:
    assert client.call(f"{table}.id").data == [client.id]
    assert client.eval(f"return {table} == box.session, {table}.nosuch").data == [True, None]


def test_outside_of_sessions(engine: Engine) -> None:
    source = "local s = box.session return s.id(), s.fd(), s.sync(), s.type(), s.exists(), s.peer()"
    assert engine.execute(source) == (0, -1, 0, b"background", 0, b"0.0.0.0:0")


def test_id_ignores_arguments(client: Client) -> None:
    assert client.call("box.session.id", 1, 2, 3).data == [client.id]


THERE = [
    "", "{id}", "'{id}'", "{id}ULL", "{id}LL", "{id}.9", "' {id} '", "'{id}.5'",
    "require('ffi').new('int', {id})",
]  # fmt: skip
AWAY = [
    "0", "-1", "-{id}", "{id} + 1000", "{id} + 64", "0/0", "1/0", "-1/0", "2^31", "2^32 + {id}",
    "2^53", "2^63", "2^64", "2^64 + 4096", "1e300", "-1e300", "0.5", "'0'", "'1e400'", "'nan'",
    "18446744073709551615ULL", "-1LL", "0ULL", "9223372036854775808ULL", "'-5'",
]  # fmt: skip


@pytest.mark.parametrize("argument", THERE)
def test_exists_of_one_that_does(engine: Engine, new: Engine, argument: str) -> None:
    for each, there in ((engine, 1), (new, True)):
        with each.connect() as client:
            source = f"return box.session.exists({argument.format(id=client.id)})"
            for _ in range(3):
                (found,) = client.eval(source).data
                assert (found, type(found)) == (there, type(there))


@pytest.mark.parametrize("argument", AWAY)
def test_exists_of_one_that_does_not(engine: Engine, new: Engine, argument: str) -> None:
    for each, away in ((engine, 0), (new, False)):
        with each.connect() as client:
            source = f"return box.session.exists({argument.format(id=client.id)})"
            for _ in range(3):
                (found,) = client.eval(source).data
                assert (found, type(found)) == (away, type(away))


def test_compiled_code_says_the_same(client: Client) -> None:
    """Every odd id often enough to be compiled."""
    ids = ", ".join(each.format(id=client.id) for each in AWAY)
    source = f"""
        local sum = 0
        for _ = 1, 300 do
          for _, id in ipairs({{{ids}}}) do sum = sum + box.session.exists(id) end
        end
        return sum"""
    assert client.eval(source).data == [0]


BAD = ["nil", "true", "{}", "box.NULL", "'x'", "''", "print", "1, 2", "nil, nil"]


@pytest.mark.parametrize("argument", BAD)
def test_arguments_of_exists_and_fd(engine: Engine, new: Engine, argument: str) -> None:
    for each in (engine, new):
        with each.connect() as client:
            for name in ("exists", "fd"):
                expected = "expected int64_t as -1 argument"
                if "," in argument:
                    expected = f"session.{name}(sid): bad arguments"
                assert fails(client, f"box.session.{name}({argument})") == expected


def test_every_session_is_seen_by_every_other(engine: Engine) -> None:
    with engine.connect(b"one") as one, engine.connect(b"two") as two:
        assert one.call("box.session.exists", two.id).data == [1]
        assert one.call("box.session.peer", two.id).data == ["two"]
        assert two.call("box.session.peer", one.id).data == ["one"]
        gone = two.id
        two.close()
        assert one.call("box.session.exists", gone).data == [0]


def test_a_session_of_another_worker(engine: Engine) -> None:
    session = engine.table.claim(b"10.0.0.1:99", 1, SALT)
    assert session is not None
    with engine.connect() as client:
        assert client.call("box.session.exists", session).data == [1]
        assert client.call("box.session.peer", session).data == ["10.0.0.1:99"]
        assert client.call("box.session.fd", session).data == [-1]
    engine.table.release(session)


# Peers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("peer", PEERS)
def test_peer(engine: Engine, peer: bytes) -> None:
    with engine.connect(peer) as client:
        text = peer[:83].decode()
        assert client.call("box.session.peer").data == [text]
        for argument in (f"{client.id}", f"'{client.id}'", f"{client.id}.7"):
            assert client.eval(f"return box.session.peer({argument})").data == [text]


def test_peers_that_are_remembered_in_one_place() -> None:
    """Ids 1,024 apart share it; who is remembered and has ended has no peer."""
    with Engine(capacity=60) as engine, engine.connect(b"first") as first:
        engine.segment.header.last_id = first.id + 1023
        with engine.connect(b"second") as second:
            assert second.id == first.id + 1024
            for _ in range(3):
                assert second.call("box.session.peer", first.id).data == ["first"]
                assert second.call("box.session.peer", second.id).data == ["second"]
                assert second.call("box.session.peer", second.id).data == ["second"]
            gone = second.id
        assert first.call("box.session.peer", gone).data == ["0.0.0.0:0"]
        assert first.call("box.session.peer").data == ["first"]


NO_PEER = ["0", "-1", "1e300", "2^64", "1/0", "0/0", "'0'", "12345678"]


@pytest.mark.parametrize("argument", NO_PEER)
def test_peer_of_nobody(engine: Engine, new: Engine, argument: str) -> None:
    source = f"box.session.peer({argument})"
    with engine.connect() as client:
        assert client.eval("return " + source).data == ["0.0.0.0:0"]
    with new.connect() as client:
        assert fails(client, source) == "session.peer(): session does not exist"


def test_peer_without_a_session(new: Engine) -> None:
    assert new.execute("return box.session.peer()") is None


@pytest.mark.parametrize(
    ("argument", "kind"),
    [
        ("nil", "nil"),
        ("'x'", "string"),
        ("{}", "table"),
        ("true", "boolean"),
        ("1ULL", "cdata"),
        ("box.NULL", "cdata"),
    ],
)
def test_arguments_of_peer(client: Client, argument: str, kind: str) -> None:
    text = f"bad argument #1 to '?' (number expected, got {kind})"
    assert fails(client, f"box.session.peer({argument})") == text
    assert fails(client, f"box.session.peer({argument}, 1)") == ("session.peer(sid): bad arguments")


# Descriptors, kinds, syncs -----------------------------------------------------------------------


def test_fd(engine: Engine) -> None:
    with engine.connect() as one, engine.connect() as two:
        assert one.call("box.session.fd").data == [one.fd]
        assert one.call("box.session.fd", two.id).data == [two.fd]
        assert one.call("box.session.fd", str(two.id)).data == [two.fd]
        for argument in ("0", "-1", "2^64", "1/0", "123456"):
            assert fails(one, f"box.session.fd({argument})") == (
                "session.fd(): session does not exist"
            )


def test_type(client: Client) -> None:
    assert client.call("box.session.type", 1, 2).data == ["binary"]


@pytest.mark.parametrize("sync", [0, 1, 2**32, 99_999_999_999_999, 10**14, 2**53 + 1, 2**64 - 1])
def test_sync(client: Client, sync: int) -> None:
    body = pack({0x27: "local s = box.session.sync() return s, type(s)"})
    (answer,) = client.exchange(frame(pack({0: 8, 1: sync}) + body))
    assert answer.data == [sync, "number" if sync < 10**14 else "cdata"]


def test_sync_of_every_request_of_a_pipeline(client: Client) -> None:
    body = pack({0x22: "box.session.sync", 0x21: []})
    data = b"".join(frame(pack({0: CALL, 1: k}) + body) for k in range(3000))
    assert [answer.data for answer in client.exchange(data)] == [[k] for k in range(3000)]


# Storage -----------------------------------------------------------------------------------------


def test_storage_is_of_one_session(engine: Engine) -> None:
    with engine.connect() as one, engine.connect() as two:
        one.eval("box.session.storage.x = 1")
        two.eval("box.session.storage.x = 2")
        for client, value in ((one, 1), (two, 2)):
            source = "local s = box.session.storage return s.x, s == session.storage"
            assert client.eval(source).data == [value, True]
        registry = "return getmetatable(box.session).aggregate_storage[...] ~= nil"
        assert one.eval(registry, two.id).data == [True]
        two.close()
        assert one.eval(registry, two.id).data == [False]


def test_storage_comes_with_its_first_use(client: Client) -> None:
    registry = "return getmetatable(box.session).aggregate_storage[box.session.id()] ~= nil"
    assert client.eval(registry).data == [False]
    client.eval("return box.session.storage")
    assert client.eval(registry).data == [True]


def test_storage_keeps_any_value(client: Client) -> None:
    client.eval("box.session.storage.f = function(x) return x * 2 end")
    assert client.eval("return box.session.storage.f(21)").data == [42]


def test_a_new_session_has_a_new_storage(engine: Engine) -> None:
    with engine.connect() as one:
        one.eval("box.session.storage.x = 1")
    with engine.connect() as two:
        assert two.eval("return box.session.storage.x").data == [None]


def test_background_code_has_its_own_storage(client: Client) -> None:
    client.engine.execute("box.session.storage.background = 5")
    assert client.engine.execute("return box.session.storage.background") == 5
    assert client.eval("return box.session.storage.background").data == [None]


def test_assigning_storage_hides_it(client: Client) -> None:
    client.eval("box.session.storage.x = 1 box.session.storage = {x = 'mine'}")
    assert client.eval("return box.session.storage.x").data == ["mine"]
    client.eval("box.session.storage = nil")
    assert client.eval("return box.session.storage.x").data == [1]


def test_unknown_members(client: Client) -> None:
    assert client.eval("return box.session.nosuch").data == [None]
    assert error_of(client.call("box.session.nosuch"))[0] == 33
