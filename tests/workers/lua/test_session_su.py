"""box.session.su in both forms: who may, what is refused, and whose rights apply."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers import users
from tests.helpers.engine import Client, Engine, error_of
from tests.helpers.requests import evaluation
from tests.helpers.users import login

WHO = "box.session.uid(), box.session.user(), box.session.euid(), box.session.effective_user()"
RETURN_WHO = f"return {WHO}"


@pytest.fixture(scope="module")
def ids(engine: Engine) -> dict[str, int]:
    """Numbers of users: boss is super; bob and eve may evaluate and call everything."""
    found = {name: users.add(engine, name, "secret") for name in ("boss", "bob", "eve", "off")}
    users.make_super(engine, "boss")
    for name in ("bob", "eve"):
        users.allow_everything(engine, name)
    users.disable(engine, "off")
    return found


@pytest.fixture
def boss(client: Client, ids: dict[str, int]) -> Client:
    assert login(client, "boss", "secret").code == 0
    return client


@pytest.fixture
def bob(client: Client, ids: dict[str, int]) -> Client:
    assert login(client, "bob", "secret").code == 0
    return client


@pytest.fixture(autouse=True)
def _new(engine: Engine) -> Iterator[None]:
    yield
    engine.execute("require('compat').session_su = 'default'")


def test_for_good(boss: Client, ids: dict[str, int]) -> None:
    assert boss.eval("return box.session.su('bob')").data == []
    assert boss.eval(RETURN_WHO).data == [ids["bob"], "bob", ids["bob"], "bob"]
    assert boss.slot.uid == ids["bob"]


def test_the_code_that_called_it_has_the_user_too(boss: Client, ids: dict[str, int]) -> None:
    assert boss.eval(f"box.session.su('bob') {RETURN_WHO}").data[::2] == [ids["bob"]] * 2


def test_for_a_function(boss: Client, ids: dict[str, int]) -> None:
    source = f"return box.session.su('bob', function(...) return {WHO}, ... end, 7, nil, 9)"
    assert boss.eval(source).data == [ids["boss"], "boss", ids["bob"], "bob", 7, None, 9]
    assert boss.eval(RETURN_WHO).data == [ids["boss"], "boss", ids["boss"], "boss"]


@pytest.mark.parametrize("form", ["%d", "%dULL", "%dLL", "%d.5"])
def test_by_number(boss: Client, ids: dict[str, int], form: str) -> None:
    number = form % ids["bob"]
    source = f"return box.session.su({number}, box.session.effective_user)"
    assert boss.eval(source).data == ["bob"]


def test_a_roles_number_is_taken(boss: Client) -> None:
    assert boss.eval("return box.session.su(31, box.session.effective_user)").data == ["super"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", (32, "session.su(): bad arguments")),
        ("'nosuch'", (45, "User 'nosuch' is not found")),
        ("'nosuch', 5", (45, "User 'nosuch' is not found")),
        ("12345", (45, "User '12345' is not found")),
        ("'public'", (45, "User 'public' is not found")),
        ("'super', print", (45, "User 'super' is not found")),
        ("'1'", (45, "User '1' is not found")),
        ("'off'", (42, "Session access to universe '' is denied for user 'off'")),
        ("'off', print", (42, "Session access to universe '' is denied for user 'off'")),
        ("'admin', 5", (32, "bad argument #2 to '?' (function expected, got number)")),
        ("'admin', nil", (32, "bad argument #2 to '?' (function expected, got nil)")),
        ("'admin', 'x'", (32, "bad argument #2 to '?' (function expected, got string)")),
        ("'admin', {}", (32, "bad argument #2 to '?' (function expected, got table)")),
        ("nil", (32, "session.su(): expected the name or number of a user, got nil")),
        ("nil, print", (32, "session.su(): expected the name or number of a user, got nil")),
        ("box.NULL", (32, "session.su(): expected the name or number of a user, got nil")),
        ("true", (32, "session.su(): expected the name or number of a user, got boolean")),
        ("{}", (32, "session.su(): expected the name or number of a user, got table")),
    ],
)
def test_what_is_refused(boss: Client, arguments: str, expected: tuple[int, str]) -> None:
    assert error_of(boss.eval(f"return box.session.su({arguments})")) == expected
    assert boss.eval("return box.session.user()").data == ["boss"]


def test_an_error_inside_is_raised_unchanged(boss: Client) -> None:
    source = """
        local mark = {}
        local ok, raised = pcall(box.session.su, 'bob', error, mark)
        return ok, raised == mark, box.session.effective_user()"""
    assert boss.eval(source).data == [False, True, "boss"]
    assert error_of(boss.eval("box.session.su('bob', error, 'inside', 0)")) == (32, "inside")


def test_a_wait_inside(boss: Client) -> None:
    source = """
        return box.session.su('bob', function()
          require('fiber').sleep(0.001)
          return box.session.effective_user()
        end), box.session.effective_user()"""
    (answer,) = boss.answers(evaluation(99, source), 1)
    assert answer.data == ["bob", "boss"]


def test_for_good_inside_of_a_function(boss: Client) -> None:
    source = """
        local inside = box.session.su('bob', function()
          box.session.su('bob')
          return box.session.user()
        end)
        return inside"""
    assert boss.eval(f"{source}, box.session.user(), box.session.effective_user()").data == [
        "bob", "bob", "bob"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("target", "shown"),
    [("'admin'", "admin"), ("'eve'", "eve"), ("1", "1"), ("'nosuch'", "nosuch"), ("0", "0")],
)
@pytest.mark.parametrize("more", ["", ", print", ", 5"])
def test_nobody_else_may_become_others(bob: Client, target: str, shown: str, more: str) -> None:
    text = f"Su access to user '{shown}' is denied for user 'bob'"
    answer = bob.eval(f"box.session.su({target}{more})")
    assert error_of(answer) == (42, text)
    assert answer.stack[0][0] == "AccessDeniedError"
    fields = {"object_type": "user", "object_name": shown, "access_type": "Su", "user": "bob"}
    assert answer.stack[0][6] == fields
    assert bob.eval(RETURN_WHO).data[1::2] == ["bob", "bob"]


def test_everybody_may_become_itself(bob: Client, ids: dict[str, int]) -> None:
    assert bob.eval("box.session.su('bob') box.session.su(...)", ids["bob"]).code == 0
    assert bob.eval("return box.session.su('bob', box.session.effective_user)").data == ["bob"]


def test_a_super_user_for_a_while_is_enough(boss: Client) -> None:
    source = "return box.session.su('bob', box.session.su, 'admin', box.session.user)"
    assert error_of(boss.eval(source))[0] == 42


def test_who_runs_as_somebody_less_cannot_go_back(boss: Client) -> None:
    source = "return box.session.su('bob', function() box.session.su('boss') end)"
    text = "Su access to user 'boss' is denied for user 'bob'"
    assert error_of(boss.eval(source)) == (42, text)


def test_refusals_are_told(engine: Engine, bob: Client) -> None:
    hook = "require('beespace.engine.access').on_denied"
    engine.execute(f"before = {hook} {hook} = function(...) told = {{...}} end")
    try:
        assert bob.eval("box.session.su('off')").code == 42
        assert bob.eval("return unpack(told)").data == ["Su", "user", "off"]
    finally:
        engine.execute(f"{hook} = before")


@pytest.mark.parametrize("user", ["nil", "true", "{}", "box.NULL"])
def test_the_old_way_takes_anything_from_anybody(bob: Client, user: str) -> None:
    bob.engine.execute("require('compat').session_su = 'old'")
    assert bob.eval("return box.session.su('admin', box.session.effective_user)").data == ["admin"]
    assert bob.eval(f"return box.session.su({user}, box.session.effective_user)").data == ["guest"]
    assert error_of(bob.eval("box.session.su('nosuch')")) == (45, "User 'nosuch' is not found")
    assert bob.eval("box.session.su(1)").code == 0
    assert bob.eval(RETURN_WHO).data == [1, "admin", 1, "admin"]


def test_in_on_connect_it_sticks(engine: Engine, ids: dict[str, int]) -> None:
    engine.execute("f = box.session.on_connect(function() box.session.su('bob') end)")
    try:
        with engine.connect(greet=False) as client:
            client.read()
            del client.buffer[:128]
            assert client.eval(RETURN_WHO).data == [ids["bob"], "bob", ids["bob"], "bob"]
    finally:
        engine.execute("box.session.on_connect(nil, f)")


def test_in_background_code(engine: Engine, ids: dict[str, int]) -> None:
    source = f"""
        local found = {{}}
        require('fiber').create(function()
          box.session.su('bob', function() found[1] = box.session.effective_user() end)
          box.session.su('bob')
          found[2] = box.session.user()
          require('fiber').sleep(0)
          found[3], found[4] = box.session.user(), box.session.effective_user()
        end)
        return function() return unpack(found) end, {WHO}"""
    read = engine.execute(source)[0]
    engine.turn()
    assert engine.runtime.call(read) == (b"bob", b"bob", b"bob", b"bob")
    assert engine.execute(RETURN_WHO) == (1, b"admin", 1, b"admin")


def test_a_dropped_user_has_no_name(engine: Engine) -> None:
    uid = users.add(engine, "short")
    source = f"""
        require('beespace.engine.catalog').refresh()
        local first
        return box.session.su({uid}, function()
          first = box.session.effective_user()
          require('beespace.engine.catalog').change('drop_principal', 'user', 'short')
          return first, box.session.effective_user() == nil
        end)"""
    assert engine.execute(source) == (b"short", True)
