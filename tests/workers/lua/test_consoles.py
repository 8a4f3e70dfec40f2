"""Console sessions: their beginning, statement by statement, and all the ways they end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shm.states import EndReason, SessionType, SlotState
from tests.helpers.consoles import Console, open_console
from tests.helpers.engine import Engine
from tests.helpers.journal import on, seen
from tests.helpers.raw import GREETING_SIZE

SETUP = """
seen = {}
logged = {}
fiber = require('fiber')
gate = fiber.cond()
local log = require('log')
for _, level in ipairs({'error', 'warn'}) do
  log[level] = function(...) logged[#logged + 1] = string.format(...) end
end
function note(event, ...)
  local s = box.session
  seen[#seen + 1] = table.concat({event, s.type(), s.user(), s.effective_user(), s.peer(), s.id(),
    tostring(s.storage.mine), ...}, ' ')
end
"""
PEER = b"127.0.0.1:4001"


def answer(*items: str) -> bytes:
    return "".join(["---\n", *(f"- {item}\n" for item in items), "...\n"]).encode()


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine(warm=False) as made:
        made.execute(SETUP)
        yield made


def wait_until_set(engine: Engine, name: str) -> None:
    engine.run_until(lambda: engine.execute(f"return {name}"))


# The beginning ------------------------------------------------------------------------------------


def test_it_is_greeted_as_a_console(engine: Engine) -> None:
    console = open_console(engine)
    lines = (b"Tarantool 2.11.0 (Lua console)", b"type 'help' for interactive help")
    assert console.greeting == b"".join(line.ljust(63) + b"\n" for line in lines)
    assert len(console.greeting) == GREETING_SIZE
    assert not console.came()


def test_it_is_a_session_of_admin_like_any_other(engine: Engine) -> None:
    console = open_console(engine)
    assert console.slot.type == SessionType.CONSOLE
    text = "box.session.id(), box.session.type(), box.session.user(), box.session.euid()\n"
    assert console.say(text) == answer(str(console.id), "console", "admin", "1")
    text = "box.session.peer(), box.session.exists(), box.session.sync()\n"
    assert console.say(text) == answer(PEER.decode(), "1", "0")
    other = engine.connect()
    assert other.eval("return box.session.exists(...)", console.id).data == [1]
    assert other.eval("return box.session.type()").data == ["binary"]


def test_its_fiber_is_named_after_its_peer_and_stays_the_same(engine: Engine) -> None:
    console = open_console(engine)
    console.say("mine = fiber.self().storage mine.x = 7\n")
    text = "fiber.name(), fiber.self().storage == mine, fiber.self().storage.x\n"
    assert console.say(text) == answer(f"console/{PEER.decode()}", "true", "7")
    console.say("mine.console.delimiter = 5\n")
    text = "type(fiber.self().storage.console), require('console').delimiter() == ''\n"
    assert console.say(text) == answer("table", "true")


def test_on_connect_then_on_auth_then_the_greeting(engine: Engine) -> None:
    on(engine, "connect", "note('connect', ...) gate:wait() box.session.storage.mine = 7")
    on(engine, "auth", "local name, ok = ... note('auth', name, tostring(ok), select('#', ...))")
    on(engine, "disconnect", "note('disconnect')")
    console = open_console(engine, greet=False)
    engine.run()
    assert console.take() == 0
    engine.execute("gate:broadcast()")
    engine.run_until(lambda: console.take() > 0)
    assert bytes(console.buffer).startswith(b"Tarantool 2.11.0 (Lua console)")
    console.close()
    who = f"console admin admin {PEER.decode()} {console.id}"
    assert seen(engine) == [
        f"connect {who} nil",
        f"auth {who} 7 admin true 2",
        f"disconnect {who} 7",
    ]
    assert not console.exists


@pytest.mark.parametrize("event", ["connect", "auth"])
def test_a_failing_trigger_ends_it_without_a_byte_and_without_on_disconnect(
    engine: Engine, event: str
) -> None:
    on(engine, event, "error('go away', 0)")
    on(engine, "disconnect", "note('disconnect')")
    console = open_console(engine, greet=False)
    assert console.came() == b""
    assert console.ended
    assert not console.exists
    assert console.slot.reason == EndReason.REFUSED
    assert seen(engine) == []


def test_a_client_that_leaves_during_on_connect_has_its_on_disconnect(engine: Engine) -> None:
    on(engine, "connect", "fiber.sleep(0.02) note('connect')")
    on(engine, "disconnect", "note('disconnect')")
    console = open_console(engine, greet=False)
    console.close()
    engine.run_until(lambda: not console.exists)
    who = f"console admin admin {PEER.decode()} {console.id} nil"
    assert seen(engine) == [f"connect {who}", f"disconnect {who}"]


def test_a_client_that_leaves_during_an_on_connect_that_fails_has_none(engine: Engine) -> None:
    on(engine, "connect", "gate:wait() error('go away')")
    on(engine, "disconnect", "note('disconnect')")
    console = open_console(engine, greet=False)
    console.close()
    assert console.exists
    engine.execute("gate:broadcast()")
    engine.run_until(lambda: not console.exists)
    assert seen(engine) == []


# Statements ---------------------------------------------------------------------------------------


def test_each_statement_is_answered_in_order(engine: Engine) -> None:
    console = open_console(engine)
    said = console.say("1\nx = 2\nx, x + 1\n\n")
    assert said == answer("1") + answer() + answer("2", "3") + answer()


def test_a_statement_may_come_in_pieces(engine: Engine) -> None:
    console = open_console(engine)
    for piece in (b"1", b" + ", b"1"):
        assert console.say(piece) == b""
    assert console.say("\n") == answer("2")


def test_what_follows_a_statement_that_waits_waits_too_and_nobody_else(engine: Engine) -> None:
    console, other, binary = open_console(engine), open_console(engine), engine.connect()
    assert console.say("gate:wait() done = true return 1\ndone\n") == b""
    assert other.say("done\n") == answer("null")
    assert binary.eval("return 5").data == [5]
    assert console.slot.in_flight == 1
    engine.execute("gate:broadcast()")
    wait_until_set(engine, "done")
    assert console.came() == answer("1") + answer("true")
    assert console.slot.in_flight == 0


def test_statements_that_are_there_do_not_keep_the_worker_to_themselves(engine: Engine) -> None:
    console, binary = open_console(engine), engine.connect()
    pause = "(function() local to = fiber.clock() + 0.003 while fiber.clock() < to do end end)()\n"
    console.send((pause * 10 + "done = true\n").encode())
    engine.execute("done = nil")
    console.socket.send((pause * 10 + "done = true\n").encode())
    engine.turn()
    engine.turn()
    assert binary.eval("return done").data == [None]
    wait_until_set(engine, "done")


def test_the_delimiter_makes_several_lines_one_statement(engine: Engine) -> None:
    console = open_console(engine)
    assert console.say("\\set delimiter ;\n1\n+ 2;\n") == answer() + answer("3")


def test_a_user_that_su_sets_stays_for_the_statements_that_follow(engine: Engine) -> None:
    console = open_console(engine)
    text = "box.session.su('guest')\nbox.session.user(), box.session.effective_user()\n"
    assert console.say(text) == answer() + answer("guest", "guest")
    other = open_console(engine)
    assert other.say("box.session.user()\n") == answer("admin")


def test_pushes_come_before_the_answer_and_at_once(engine: Engine) -> None:
    console = open_console(engine)
    text = "box.session.push(1) gate:wait() box.session.push('b') done = true return 3\n"
    head = b"%TAG !push! tag:tarantool.io/push,2018\n"
    assert console.say(text) == head + b"--- 1\n...\n"
    engine.execute("gate:broadcast()")
    wait_until_set(engine, "done")
    assert console.came() == head + b"--- b\n...\n" + answer("3")


def test_a_push_that_cannot_be_written_raises(engine: Engine) -> None:
    console = open_console(engine)
    text = "box.session.push(setmetatable({}, {__serialize = 5}))\n"
    assert console.say(text) == answer("error: invalid __serialize value")


def test_nothing_is_pushed_before_the_greeting_and_after_the_end(engine: Engine) -> None:
    on(engine, "connect", "note('connect', tostring(select(2, box.session.push(1))))")
    on(engine, "disconnect", "note('disconnect', tostring(select(2, box.session.push(1))))")
    console = open_console(engine)
    console.close()
    assert [each.split(" nil ")[1] for each in seen(engine)] == [
        "A session does not support push() before its greeting",
        "Session is closed",
    ]


def test_no_packet_is_sent_to_a_console(engine: Engine) -> None:
    console, binary = open_console(engine), engine.connect()
    refused = binary.eval("box.iproto.send(...)", console.id, {0: 0x4C}, {})
    assert refused.text == "Session 'console' is not supported"
    assert console.came() == b""


def test_what_is_executed_is_counted(engine: Engine) -> None:
    console = open_console(engine)
    before = engine.row.requests
    sent = b"1\n22\n"
    said = console.say(sent)
    assert console.slot.requests == 2
    assert engine.row.requests == before + 2
    assert console.slot.bytes_in == len(sent)
    assert console.slot.bytes_out == GREETING_SIZE + len(said)


def test_a_very_long_line_is_one_statement(engine: Engine) -> None:
    console = open_console(engine)
    assert console.say(b"#'" + b"x" * 3_000_000 + b"'\n") == answer("3000000")


def test_a_line_longer_than_a_packet_may_be_ends_the_session() -> None:
    with Engine(warm=False, max_packet=1 << 20) as engine:
        console = open_console(engine)
        said = console.say(b"1\n" + b"x" * (1 << 20) + b"yyyy")
        first, second = said[: len(answer("1"))], said[len(answer("1")) :]
        assert first == answer("1")
        assert b"a statement is longer than 1048576 bytes" in second
        assert b"iproto.max_packet_size" in second
        assert console.ended
        engine.run()
        assert not console.exists


# The end ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["~.\n1\n", "\\quit\n1\n", "\\q\n1\n"])
def test_it_can_be_ended_by_a_line(engine: Engine, text: str) -> None:
    console = open_console(engine)
    assert console.say("0\n" + text) == answer("0")
    assert console.ended
    assert not console.exists
    assert console.slot.reason == EndReason.CLIENT


def test_the_line_that_leaves_is_a_statement_with_a_delimiter(engine: Engine) -> None:
    console = open_console(engine)
    console.say("\\set delimiter ;\n")
    assert b"unexpected symbol near '~'" in console.say("~.;\n").replace(b"''", b"'")
    assert not console.ended


def test_what_was_not_ended_runs_at_the_end_without_its_last_byte(engine: Engine) -> None:
    console = open_console(engine)
    assert console.say("1\n23") == answer("1")
    console.finish()
    assert console.came() == answer("2")
    assert console.ended
    assert not console.exists


def test_who_ends_its_direction_still_has_all_answers(engine: Engine) -> None:
    console = open_console(engine, buffer=8192)
    console.socket.send(b"('x'):rep(3000000)\nfiber.sleep(0.01) return 1\n2\n")
    console.finish()
    engine.run_until(lambda: console.take() * 0 + console.ended)
    said = bytes(console.buffer)
    assert said.endswith(b"\n...\n" + answer("1") + answer("2"))
    assert len(said) > 3_000_000
    assert not console.exists


def test_a_client_that_leaves_lets_its_statement_end_and_no_other_begin(engine: Engine) -> None:
    on(engine, "disconnect", "note('disconnect')")
    console = open_console(engine)
    console.say("box.session.storage.mine = 1\n")
    console.say("gate:wait() note('ran', tostring(box.session.closed())) return 1\nbad = 1\n")
    console.close()
    assert console.exists
    assert console.slot.state == SlotState.CLOSING
    engine.execute("gate:broadcast()")
    engine.run_until(lambda: not console.exists)
    who = f"console admin admin {PEER.decode()} {console.id} 1"
    assert seen(engine) == [f"disconnect {who}", f"ran {who} true"]
    assert engine.execute("return bad") is None


def test_what_a_client_sent_before_it_left_begins(engine: Engine) -> None:
    console = open_console(engine)
    console.socket.send(b"began = true\n")
    console.close()
    assert engine.execute("return began") is True
    engine.run_until(lambda: not console.exists)


def test_a_client_that_does_not_read_blocks_itself_only(engine: Engine) -> None:
    console, other = open_console(engine, buffer=8192), open_console(engine)
    text = b"n = (n or 0) + 1 return ('x'):rep(1000000)\n"
    console.socket.send(text * 20)
    engine.run()
    begun = engine.execute("return n")
    assert begun <= 2
    assert other.say("1\n") == answer("1")

    def all_answered() -> bool:
        console.read()
        return console.buffer.count(b"\n...\n") == 20

    # Answers of this size are made beside the loop.
    engine.run_until(all_answered, 30)
    assert engine.execute("return n") == 20


def test_a_cancelled_console_ends(engine: Engine) -> None:
    console, other = open_console(engine), open_console(engine)
    number = console.say("fiber.id()\n").split()[2].decode()
    other.say(f"fiber.find({number}):cancel()\n")
    console.read()
    assert console.ended
    assert not console.exists
    assert console.slot.reason == EndReason.KILLED


def test_all_consoles_end_with_the_worker() -> None:
    with Engine(warm=False) as engine:
        engine.execute(SETUP)
        on(engine, "disconnect", "note('disconnect', box.session.reason())")
        console: Console = open_console(engine)
        engine.execute("require('beespace.engine.stopping').begin()")
        engine.run_until(lambda: not console.exists)
        assert seen(engine)[0].endswith("shutdown")
        assert console.slot.reason == EndReason.SHUTDOWN
