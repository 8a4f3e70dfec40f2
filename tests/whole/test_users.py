"""Users and roles changed over real connections, in one worker for the sessions of the other."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
import tarantool

from tests.helpers.raw import CALL, EVAL, PING, SELECT, Raw
from tests.helpers.server import Server, running
from tests.helpers.wait import tries

PASSWORD = "Sesame-0pen"
USERS = {
    "boss": {"password": PASSWORD, "roles": ["super"]},
    "maker": {
        "password": PASSWORD,
        "privileges": [
            {"permissions": ["create", "execute"], "universe": True},
            {"permissions": ["read", "write"], "spaces": ["_user", "_priv"]},
        ],
    },
}
WORKER = "return box.info.worker.id"
USER, VUSER, PRIV = 304, 305, 312
"""Ids of system spaces."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two workers; guest may do nothing."""
    folder = tmp_path_factory.mktemp("users")
    settings = {"credentials": {"users": USERS}}
    with running(folder, workers=2, open_to_guests=False, settings=settings) as made:
        yield made


def connect(server: Server, user: str, password: str = PASSWORD, *, schema: bool = False) -> Any:
    """A connection of the stock connector, logged in; with the schema it can select."""
    host, port = server.address
    return tarantool.Connection(
        host,
        port,
        user=user,
        password=password,
        reconnect_max_attempts=0,
        socket_timeout=30,
        fetch_schema=schema,
    )


@pytest.fixture
def bosses(server: Server) -> Iterator[tuple[Any, Any]]:
    """Sessions of a super user, one in each worker."""
    with contextlib.ExitStack() as stack:
        found: dict[int, Any] = {}
        for _ in tries():
            boss = stack.enter_context(contextlib.closing(connect(server, "boss")))
            found.setdefault(boss.eval(WORKER)[0], boss)
            if len(found) == 2:
                break
        yield found[0], found[1]
        found[0].eval("""
            for _, name in ipairs({'bob', 'eve', 'new'}) do
              box.schema.user.drop(name, {if_exists = true})
            end
            for _, name in ipairs({'clerks', 'chiefs'}) do
              box.schema.role.drop(name, {if_exists = true})
            end
        """)


def error_of(function: Any, *arguments: object) -> tuple[int, str]:
    """Code and text that a call of the connector raises; (0, "") for none."""
    try:
        function(*arguments)
    except tarantool.DatabaseError as error:
        return error.args[0], error.args[1]
    return 0, ""


def together(function: Callable[[Any], None], arguments: Iterable[Any]) -> None:
    """Call a function with each of the arguments at the same time."""
    threads = [threading.Thread(target=function, args=[each]) for each in arguments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_the_other_worker_knows_at_once(bosses: tuple[Any, Any]) -> None:
    here, there = bosses
    for _ in range(50):
        here.call("box.schema.user.create", "bob", {"password": "x"})
        assert there.call("box.schema.user.exists", "bob")[0] is True
        there.call("box.schema.user.grant", "bob", "read", "universe")
        assert here.call("box.schema.user.info", "bob")[0][1][0] == "read,session,usage"
        there.call("box.schema.user.drop", "bob")
        assert here.call("box.schema.user.exists", "bob")[0] is False


def test_a_grant_acts_on_the_next_request_anywhere(server: Server, bosses: tuple[Any, Any]) -> None:
    here, there = bosses
    here.call("box.schema.user.create", "bob", {"password": PASSWORD})
    here.call("box.schema.role.create", "clerks")
    there.call("box.schema.user.grant", "bob", "clerks")
    denied = (42, "Execute access to function 'box.session.id' is denied for user 'bob'")
    sessions = [connect(server, "bob") for _ in range(6)]
    for turn in range(20):
        here.call("box.schema.role.grant", "clerks", "execute", "lua_call", "box.session.id")
        assert {error_of(each.call, "box.session.id") for each in sessions} == {(0, "")}, turn
        there.call("box.schema.role.revoke", "clerks", "execute", "lua_call", "box.session.id")
        assert {error_of(each.call, "box.session.id") for each in sessions} == {denied}, turn
    for each in sessions:
        each.close()


def test_a_new_user_logs_in_with_the_connector(server: Server, bosses: tuple[Any, Any]) -> None:
    here, there = bosses
    here.call("box.schema.user.create", "bob", {"password": "one"})
    here.call("box.schema.user.grant", "bob", "super")
    with contextlib.closing(connect(server, "bob", "one")) as bob:
        assert bob.eval("return box.session.user()")[0] == "bob"
        bob.call("box.schema.user.passwd", "two")
        assert bob.eval("return box.session.user()")[0] == "bob"
        assert error_of(bob.call, "box.schema.user.drop", "bob") == (
            44,
            "Failed to drop user or role 'bob': the user is active in the current session",
        )
    there.call("box.schema.user.passwd", "bob", "three")
    for password in ("one", "two"):
        with pytest.raises(tarantool.DatabaseError, match="credentials are invalid"):
            connect(server, "bob", password)
    connect(server, "bob", "three").close()


def test_a_storm_ends_in_one_state(server: Server, bosses: tuple[Any, Any]) -> None:
    """Ten sessions of both workers make, grant and drop the same users and roles at once."""
    source = """
        local number, errors = ..., {}
        math.randomseed(number)
        local user, role, name = box.schema.user, box.schema.role, nil
        local known = {[45] = true, [46] = true, [82] = true, [83] = true, [87] = true,
          [89] = true, [90] = true, [91] = true, [92] = true}
        local changes = {
          function() user.create(name('u')) end,
          function() user.drop(name('u')) end,
          function() role.create(name('r')) end,
          function() role.drop(name('r')) end,
          function() user.grant(name('u'), name('r')) end,
          function() user.revoke(name('u'), name('r')) end,
          function() role.grant(name('r'), name('r')) end,
          function() role.grant(name('r'), 'read,write', 'universe') end,
          function() role.revoke(name('r'), 'write', 'universe') end,
          function() user.passwd(name('u'), 'x') end,
        }
        function name(letter) return letter .. math.random(4) end
        for _ = 1, 60 do
          local ok, raised = pcall(changes[math.random(#changes)])
          if not ok and not (type(raised) ~= 'string' and known[raised.code]) then
            errors[#errors + 1] = tostring(raised)
          end
        end
        return errors
    """
    others = [connect(server, "boss") for _ in range(8)]
    sessions = [*bosses, *others]
    errors: list[Any] = []

    def storm(number: int) -> None:
        errors.extend(sessions[number].eval(source, number)[0])

    together(storm, range(10))

    assert errors == []
    told = """
        local told = {}
        for i = 1, 4 do
          local u, r = 'u' .. i, 'r' .. i
          told[#told + 1] = {
            u, box.schema.user.exists(u) and box.schema.user.info(u) or 'none',
            r, box.schema.role.exists(r) and box.schema.role.info(r) or 'none',
          }
        end
        return told
    """
    states = [each.eval(told)[0] for each in sessions]
    assert all(each == states[0] for each in states)
    bosses[0].eval("""
        for i = 1, 4 do
          box.schema.user.drop('u' .. i, {if_exists = true})
          box.schema.role.drop('r' .. i, {if_exists = true})
        end
    """)
    for each in others:
        each.close()


def test_ids_are_different_in_all_workers(bosses: tuple[Any, Any]) -> None:
    source = """
        local ids = {}
        for i = 1, 20 do
          local name = ('id%d_%d'):format(box.info.worker.id, i)
          box.schema.user.create(name)
          ids[i] = box.space._vuser.index.name:get(name).id
          box.schema.user.drop(name)
        end
        return ids
    """
    found: list[int] = []
    together(lambda boss: found.extend(boss.eval(source)[0]), bosses)
    assert len(found) == len(set(found)) == 40


def execute_denied(kind: str, name: str) -> tuple[int, str]:
    return 42, f"Execute access to {kind} '{name}' is denied for user 'bob'"


CALLED = execute_denied("function", "box.session.id")
EVALUATED = execute_denied("universe", "")
UNREAD = (42, "Read access to space '_user' is denied for user 'bob'")
UNUSED = (42, "Usage access to universe '' is denied for user 'bob'")
FINE = (0, "")
REQUESTS: dict[str, tuple[int, dict[int, object]]] = {
    "ping": (PING, {}),
    "call": (CALL, {0x22: "box.session.id", 0x21: []}),
    "call of nothing": (CALL, {0x22: "nosuch", 0x21: []}),
    "eval": (EVAL, {0x27: "return 1", 0x21: []}),
    "view": (SELECT, {0x10: 305, 0x12: 1, 0x20: []}),
    "space": (SELECT, {0x10: 304, 0x12: 1, 0x20: []}),
}
NOTHING = execute_denied("function", "nosuch")
NO_PROCEDURE = (33, "Procedure 'nosuch' is not defined")
MATRIX: dict[str, tuple[list[list[str]], list[tuple[int, str]]]] = {
    "nothing": ([], [FINE, CALLED, NOTHING, EVALUATED, FINE, UNREAD]),
    "execute": (
        [["execute", "universe"]],
        [FINE, FINE, NO_PROCEDURE, FINE, FINE, UNREAD],
    ),
    "one name": (
        [["execute", "lua_call", "box.session.id"]],
        [FINE, FINE, NOTHING, EVALUATED, FINE, UNREAD],
    ),
    "all names": (
        [["execute", "lua_call"]],
        [FINE, CALLED, NO_PROCEDURE, EVALUATED, FINE, UNREAD],
    ),
    "texts": ([["execute", "lua_eval"]], [FINE, CALLED, NOTHING, FINE, FINE, UNREAD]),
    "functions": ([["execute", "function"]], [FINE, CALLED, NOTHING, EVALUATED, FINE, UNREAD]),
    "a space": ([["read", "space", "_user"]], [FINE, CALLED, NOTHING, EVALUATED, FINE, FINE]),
    "super": ([["super"]], [FINE, FINE, NO_PROCEDURE, FINE, FINE, FINE]),
}
WITHOUT_USAGE = [FINE, CALLED, NOTHING, EVALUATED, UNUSED, UNUSED]


@pytest.mark.parametrize("name", MATRIX)
def test_what_a_user_may_request(server: Server, bosses: tuple[Any, Any], name: str) -> None:
    grants, expected = MATRIX[name]
    here, there = bosses
    here.call("box.schema.user.create", "bob", {"password": PASSWORD})
    for grant in grants:
        there.call("box.schema.user.grant", "bob", *grant)
    with Raw(server.address) as first, Raw(server.address) as second:
        for bob in (first, second):
            assert bob.auth("bob", PASSWORD).code == 0
            answers = [bob.request(*REQUESTS[request]) for request in REQUESTS]
            assert [(answer.code, answer.text) for answer in answers] == expected


def test_without_usage_there_is_only_ping(server: Server, bosses: tuple[Any, Any]) -> None:
    here, there = bosses
    here.call("box.schema.user.create", "bob", {"password": PASSWORD})
    here.call("box.schema.user.grant", "bob", "execute,read", "universe")
    with Raw(server.address) as bob:
        assert bob.auth("bob", PASSWORD).code == 0
        there.call("box.schema.user.revoke", "bob", "usage", "universe")
        answers = [bob.request(*REQUESTS[request]) for request in REQUESTS]
        assert [(answer.code, answer.text) for answer in answers] == WITHOUT_USAGE


def test_who_makes_users_needs_rights(server: Server, bosses: tuple[Any, Any]) -> None:
    here, there = bosses
    with contextlib.closing(connect(server, "maker")) as maker:
        maker.call("box.schema.user.create", "bob", {"password": PASSWORD})
        maker.eval("box.schema.role.create('clerks') box.schema.user.grant('bob', 'clerks')")
        assert error_of(maker.call, "box.schema.user.grant", "bob", "super") == (
            42,
            "Grant access to role 'super' is denied for user 'maker'",
        )
        assert error_of(maker.call, "box.schema.user.drop", "boss") == (
            42,
            "Drop access to user 'boss' is denied for user 'maker'",
        )
        assert error_of(maker.call, "box.schema.user.passwd", "boss", "mine") == (
            42,
            "Alter access to user 'boss' is denied for user 'maker'",
        )
        assert ["execute", "role", "clerks"] in there.call("box.schema.user.info", "bob")[0]
        maker.call("box.schema.user.drop", "bob")
        here.call("box.schema.user.revoke", "maker", "create", "universe")
        assert error_of(maker.call, "box.schema.user.create", "bob") == (
            42,
            "Create access to user 'bob' is denied for user 'maker'",
        )
    here.call("box.schema.user.grant", "maker", "create", "universe")


def names_seen(connection: Any) -> set[str]:
    """Users and roles in the view."""
    return {row[2] for row in connection.select(VUSER).data}


def test_the_views_of_one_worker_show_what_another_has_changed(
    server: Server, bosses: tuple[Any, Any]
) -> None:
    one, other = bosses
    create = "box.schema.user.create('bob', {password = ...}) box.schema.role.create('clerks')"
    one.eval(create, PASSWORD)
    count = "return box.space._vuser.index.name:count('bob')"
    assert [each.eval(count)[0] for each in bosses] == [1, 1]

    with contextlib.closing(connect(server, "bob", schema=True)) as bob:
        assert names_seen(bob) == {"bob", "public"}
        one.eval("box.schema.user.grant('bob', 'clerks')")
        other.eval("box.schema.user.grant('bob', 'read', 'space', '_priv')")
        assert names_seen(bob) == {"bob", "public", "clerks"}
        assert bob.select(PRIV).rowcount > 10
        one.eval("box.schema.user.revoke('bob', 'read', 'space', '_priv')")
        with pytest.raises(tarantool.DatabaseError, match="Read access to space '_priv'"):
            bob.select(PRIV)

    one.eval("box.schema.user.drop('bob')")
    assert [each.eval(count)[0] for each in bosses] == [0, 0]


@pytest.mark.parametrize(
    "read", ["select", "return box.space._user:select()"], ids=["request", "Lua"]
)
def test_a_refused_read_is_told(server: Server, bosses: tuple[Any, Any], read: str) -> None:
    listen = "box.session.on_access_denied(function(...) box.session.storage.denied = {...} end)"
    bosses[0].eval(listen)
    bosses[1].eval("box.schema.user.create('eve', {password = ...})", PASSWORD)
    bosses[1].eval("box.schema.user.grant('eve', 'execute', 'lua_eval')")

    with contextlib.closing(connect(server, "eve", schema=True)) as eve:
        with pytest.raises(tarantool.DatabaseError, match="Read access to space '_user' is denied"):
            eve.select(USER) if read == "select" else eve.eval(read)
        assert eve.eval("return box.session.storage.denied")[0] == ["Read", "space", "_user"]

    bosses[0].eval("box.session.on_access_denied(nil, box.session.on_access_denied()[1])")
