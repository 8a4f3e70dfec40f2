"""Who may do what: every kind of right on CALL and EVAL, roles, sessions, and refusals."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers.engine import Client, Engine, error_of
from tests.helpers.raw import CALL, CALL_16, EVAL, PING, request
from tests.helpers.users import give

EXECUTE, SESSION, USAGE = 4, 8, 16
FUNCTIONS = """
function plain() return 'plain' end
nested = {inner = function() return 'inner' end}
local catalog = require('beespace.engine.catalog')
local user = require('beespace.engine.user')
function change(...) return catalog.change(...) end
function grant(mask, kind, id, name)
  return change('grant', 1, 'user', 'guest', mask, 'some', kind, id, name or '', true)
end
function revoke(mask, kind, id, name)
  return change('revoke', 'user', 'guest', mask, 'some', kind, id, name or '', true)
end
"""


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine(warm=False, open_to_guests=False) as engine:
        engine.execute(FUNCTIONS)
        yield engine


@pytest.fixture
def client(engine: Engine) -> Iterator[Client]:
    with engine.connect() as client:
        yield client


def denied(what: str, name: str = "", user: str = "guest") -> tuple[int, str]:
    return 42, f"Execute access to {what} '{name}' is denied for user '{user}'"


def outcome(client: Client, source: str) -> object:
    """`call NAME` or a text to evaluate: the data, or code and text of the error."""
    kind, _, name = source.partition(" ")
    answer = client.call(name) if kind == "call" else client.eval(source)
    return answer.data if answer.type == 0 else error_of(answer)


FUNCTION_DENIED = denied("function", "plain")
EVAL_DENIED = denied("universe")

CASES = [
    # What is granted, and what CALL plain, CALL math.max, CALL nosuch, and EVAL say then.
    (
        "",
        FUNCTION_DENIED, denied("function", "math.abs"), denied("function", "nosuch"), EVAL_DENIED,
    ),
    (
        "grant(4, 'universe', 0)",
        ["plain"], (32, "bad argument #1 to '?' (number expected, got no value)"),
        (33, "Procedure 'nosuch' is not defined"), [1],
    ),
    (
        "grant(4, 'lua_call', '')",
        ["plain"], denied("function", "math.abs"),
        (33, "Procedure 'nosuch' is not defined"), EVAL_DENIED,
    ),
    (
        "grant(4, 'lua_call', 'plain')",
        ["plain"], denied("function", "math.abs"), denied("function", "nosuch"), EVAL_DENIED,
    ),
    (
        "grant(4, 'lua_call', 'math.abs')",
        FUNCTION_DENIED, (32, "bad argument #1 to '?' (number expected, got no value)"),
        denied("function", "nosuch"), EVAL_DENIED,
    ),
    (
        "grant(4, 'lua_eval', '')",
        FUNCTION_DENIED, denied("function", "math.abs"), denied("function", "nosuch"), [1],
    ),
    (
        "grant(4, 'function', '')",
        FUNCTION_DENIED, denied("function", "math.abs"), denied("function", "nosuch"), EVAL_DENIED,
    ),
    (
        "change('grant_role', 1, 'user', 'guest', 'super', false)",
        ["plain"], (32, "bad argument #1 to '?' (number expected, got no value)"),
        (33, "Procedure 'nosuch' is not defined"), [1],
    ),
    (
        "grant(4, 'universe', 0) revoke(16, 'universe', 0)",
        FUNCTION_DENIED, denied("function", "math.abs"), denied("function", "nosuch"), EVAL_DENIED,
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case[0] or "nothing" for case in CASES])
def test_what_a_grant_allows(engine: Engine, client: Client, case: tuple[object, ...]) -> None:
    granted, *expected = case
    engine.execute(str(granted))
    asked = ("call plain", "call math.abs", "call nosuch", "return 1")

    assert [outcome(client, each) for each in asked] == expected
    # The second time the answers come from what was found before.
    assert [outcome(client, each) for each in asked] == expected


def test_a_revoke_acts_on_the_next_request(engine: Engine, client: Client) -> None:
    engine.execute("grant(4, 'universe', 0)")
    assert client.call("plain").data == ["plain"]
    engine.execute("revoke(4, 'universe', 0)")
    assert error_of(client.call("plain")) == FUNCTION_DENIED
    engine.execute("grant(4, 'lua_call', 'plain')")
    assert client.call("plain").data == ["plain"]
    engine.execute("revoke(4, 'lua_call', 'plain')")
    assert error_of(client.call("plain")) == FUNCTION_DENIED


@pytest.mark.parametrize("kind", [CALL, CALL_16])
def test_every_form_of_a_call_is_checked(client: Client, kind: int) -> None:
    body = {0x21: [], 0x22: "plain"}
    swapped, straight = client.request(kind, body), client.request(kind, dict(sorted(body.items())))
    headed = request({0: kind, 1: 9, 0x0A: 0}, body)

    assert error_of(swapped) == error_of(straight) == FUNCTION_DENIED
    assert [error_of(answer) for answer in client.exchange(headed)] == [FUNCTION_DENIED]


def test_every_form_of_an_eval_is_checked(client: Client) -> None:
    assert error_of(client.request(EVAL, {0x21: [], 0x27: "return 1"})) == EVAL_DENIED
    assert error_of(client.request(EVAL, {0x27: "return " + "1" * 300, 0x21: []})) == EVAL_DENIED


def test_ping_needs_nothing(engine: Engine, client: Client) -> None:
    engine.execute("revoke(24, 'universe', 0)")

    assert client.request(PING).type == 0


def test_requests_in_one_packet_stream_are_checked_one_by_one(
    engine: Engine, client: Client
) -> None:
    engine.execute("grant(4, 'lua_call', 'plain')")
    call = request({0: CALL, 1: 1}, {0x22: "plain", 0x21: []})
    other = request({0: CALL, 1: 2}, {0x22: "nested.inner", 0x21: []})

    answers = client.exchange((call + other) * 50)

    assert [answer.code for answer in answers] == [0, 42] * 50


def test_the_error_tells_who_was_denied_what(engine: Engine) -> None:
    fields = engine.execute(
        """
        local access = require('beespace.engine.access')
        local user = require('beespace.engine.user')
        local ok, e = pcall(user.as, 0, access.check_call, 'nested.inner')
        return e.type, e.code, e.object_type, e.object_name, e.access_type, e.user"""
    )

    assert fields == (
        b"AccessDeniedError", 42, b"function", b"nested.inner", b"Execute", b"guest",
    )  # fmt: skip


def test_those_who_listen_are_told_before_and_their_error_changes_nothing(
    engine: Engine, client: Client
) -> None:
    engine.execute(
        """
        heard = {}
        require('beespace.engine.access').on_denied = function(...)
          heard[#heard + 1] = table.concat({...}, ' ')
          error('not for the client')
        end"""
    )
    assert error_of(client.call("plain")) == FUNCTION_DENIED
    assert error_of(client.eval("return 1")) == EVAL_DENIED
    heard = engine.execute("return table.concat(heard, ', ')")
    assert heard == b"Execute function plain, Execute universe "


def test_a_dropped_user_is_not_found(engine: Engine, client: Client) -> None:
    engine.execute("id = change('create_principal', 1, 'user', 'joe', nil, false)")
    give(client, 32)
    assert error_of(client.call("plain")) == denied("function", "plain", "joe")
    engine.execute("change('drop_principal', 'user', 'joe', false, {})")

    assert error_of(client.call("plain")) == (45, "User '32' is not found")
    assert client.request(PING).type == 0


def test_rights_of_roles_of_roles(engine: Engine, client: Client) -> None:
    engine.execute(
        """
        change('create_principal', 1, 'role', 'inner', nil, false)
        change('create_principal', 1, 'role', 'outer', nil, false)
        change('grant', 1, 'role', 'inner', 4, 'execute', 'lua_eval', '', '', false)
        change('grant_role', 1, 'role', 'outer', 'inner', false)
        change('grant_role', 1, 'user', 'guest', 'outer', false)"""
    )
    assert client.eval("return 1").data == [1]
    assert engine.execute(
        """
        local access = require('beespace.engine.access')
        return access.has_role(0, 32), access.is_super(0), access.is_super(1)"""
    ) == (True, False, True)


def test_rights_on_universe_can_be_asked_for(engine: Engine) -> None:
    ask = """
        local access = require('beespace.engine.access')
        return access.has(0, access.SESSION, 'universe', 0), access.has(0, 4, 'universe')"""
    assert engine.execute(ask) == (True, False)


def test_the_right_to_have_sessions(engine: Engine) -> None:
    source = """
        local access = require('beespace.engine.access')
        local ok, e = pcall(access.check_session, 0)
        return ok, e and e.message"""

    assert engine.execute(source) == (True, None)
    engine.execute("revoke(8, 'universe', 0)")
    assert engine.execute(source) == (
        False, b"Session access to universe '' is denied for user 'guest'",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("mask", "text"),
    [
        (1 + 32, "Read access to space '_space' is denied for user 'guest'"),
        (32 + 64, "Create access to space '_space' is denied for user 'guest'"),
        (128, "Alter access to space '_space' is denied for user 'guest'"),
    ],
)
def test_the_lowest_missing_right_is_named(engine: Engine, mask: int, text: str) -> None:
    source = """
        local access = require('beespace.engine.access')
        local ok, e = pcall(access.check, ..., 'space', 280, '_space', 0)
        return e.message"""

    assert engine.execute(source, mask).decode() == text


def test_usage_comes_first(engine: Engine) -> None:
    engine.execute("revoke(16, 'universe', 0)")
    source = """
        local access = require('beespace.engine.access')
        local ok, e = pcall(access.check, 1, 'space', 281, '_vspace', 0)
        return e.message"""

    assert engine.execute(source) == b"Usage access to universe '' is denied for user 'guest'"


def test_where_guests_must_log_in(engine: Engine, client: Client) -> None:
    engine.execute("grant(4, 'universe', 0)")
    assert client.call("plain").data == ["plain"]
    engine.execute("require('beespace.engine.access').guest_disabled = true")
    engine.segment.renew_catalog()

    assert error_of(client.call("plain")) == (258, "Authentication required")
    assert error_of(client.eval("return 1")) == (258, "Authentication required")
    assert client.request(PING).type == 0
