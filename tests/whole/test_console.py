"""Consoles of a running server: several workers, real sockets, and what one sees of the other."""

from __future__ import annotations

import contextlib
import os
import signal
import socket

import pytest

from tests.helpers.raw import ClosedError, Raw
from tests.helpers.server import LOOPBACK, Server
from tests.helpers.text_console import TextConsole
from tests.helpers.wait import tries, wait_until
from tests.whole.conftest import Start


def on_worker(server: Server, number: int) -> TextConsole:
    """A console whose session is on that worker."""
    with contextlib.ExitStack() as others:
        for _ in tries():
            console = TextConsole(server.console)
            if console.values("box.workers.id()") == [number]:
                return console
            others.callback(console.close)
    raise AssertionError(f"no console landed on worker {number}")


def test_the_run_directory_has_one_of_admin(shared: Server) -> None:
    with TextConsole(shared.console) as console, Raw(shared.address) as client:
        text = "box.session.type(), box.session.user(), box.session.peer(), box.session.sync()"
        assert console.values(text) == ["console", "admin", "unix/:(socket)", 0]
        (number,) = console.values("box.session.id()")
        assert client.call("box.session.exists", number).data == [1]
        assert client.call("box.session.peer", number).data == ["unix/:(socket)"]


def test_over_tcp_on_every_worker_it_sees_all_sessions(start: Start) -> None:
    server = start(workers=3, arguments=["--console", LOOPBACK])
    (ready,) = server.lines("console=")
    port = int(ready.split("console=")[1].split()[0].rpartition(":")[2])
    with contextlib.ExitStack() as stack:
        consoles = []
        workers = set()
        for _ in tries():
            consoles.append(stack.enter_context(TextConsole(("127.0.0.1", port))))
            workers.add(consoles[-1].values("box.workers.id()")[0])
            if len(workers) == 3 and len(consoles) >= 6:
                break
        assert workers == {0, 1, 2}
        known = [(c.values("box.session.id()")[0], c.name) for c in consoles]
        for console in consoles:
            for number, name in known:
                text = f"box.session.exists({number}), box.session.peer({number})"
                assert console.values(text) == [1, name]


def test_the_manuals_story_of_a_session_runs_word_for_word(shared: Server) -> None:
    with TextConsole(shared.console) as console:
        assert console.say("session = box.session") == b"---\n...\n"
        assert console.say("session.peer(session.id())") == b"---\n- unix/:(socket)\n...\n"
        memo = 'session.storage.random_memorandum = "Don\'t forget the eggs"'
        for line in (memo, "session.storage.radius_of_mars = 3396", "m = ''"):
            assert console.say(line) == b"---\n...\n"
        assert console.say("\\set delimiter ;") == b"---\n...\n"
        loop = "for k, v in pairs(session.storage) do\n  m = m .. k .. '=' .. v .. ' '\nend;"
        assert console.say(loop) == b"---\n...\n"
        assert console.say("\\set delimiter;") == b"---\n...\n"
        mars, eggs = "radius_of_mars=3396 ", "random_memorandum=Don''t forget the eggs "
        assert console.say("m").decode() in {
            f"---\n- '{both}'\n...\n" for both in (mars + eggs, eggs + mars)
        }


def test_a_statement_goes_to_another_worker_and_still_sees_its_session(shared: Server) -> None:
    with on_worker(shared, 0) as console:
        (number,) = console.values("box.session.id()")
        assert console.values("box.session.storage.mine = 'home'") == []
        assert console.values("\\set worker 1") == [True]
        text = "box.workers.id(), box.session.id(), box.session.type(), box.session.user()"
        assert console.values(text) == [1, number, "console", "admin"]
        text = "box.session.peer(), box.session.exists(), box.session.closed()"
        assert console.values(text) == ["unix/:(socket)", 1, False]
        assert console.values("box.session.storage.mine") == [None]
        assert console.values("box.session.storage.mine = 'away'") == []
        assert console.values("box.session.storage.mine") == ["away"]
        assert console.values("elsewhere_only = 5") == []
        assert console.say("error('so far away', 0)") == b"---\n- error: so far away\n...\n"
        assert console.values("\\set worker own") == [True]
        assert console.values("box.session.storage.mine, elsewhere_only") == ["home", None]
    with on_worker(shared, 1) as console:
        assert console.values("elsewhere_only") == [5]
        assert console.values("elsewhere_only = nil") == []


def test_what_a_session_left_elsewhere_goes_with_it(shared: Server) -> None:
    left = "(function() local ids = {} for id in pairs(getmetatable(box.session).aggregate_storage)"
    left += " do ids[#ids + 1] = id end return ids end)()"
    with on_worker(shared, 1) as watcher:
        with on_worker(shared, 0) as console:
            (number,) = console.values("box.session.id()")
            console.values("\\set worker 1")
            console.values("box.session.storage.mine = 1")
            assert number in watcher.values(left)[0]
        wait_until(lambda: number not in watcher.values(left)[0], what="storage is dropped")


def test_all_workers_answer_with_their_numbers(shared: Server) -> None:
    with on_worker(shared, 1) as console:
        assert console.values("\\set worker all") == [True]
        assert console.say("box.workers.id(), {1}") == (
            b"---\n- worker 0:\n  - 0\n  - - 1\n- worker 1:\n  - 1\n  - - 1\n...\n"
        )
        assert console.values("shared_t = {1}; return shared_t, shared_t") == [
            {"worker 0": [[1], [1]]},
            {"worker 1": [[1], [1]]},
        ]
        assert console.values("if box.workers.id() == 1 then error('bad', 0) end return 1") == [
            {"worker 0": [1]},
            {"worker 1": [{"error": "bad"}]},
        ]
        assert console.values("local x") == [{"worker 0": []}, {"worker 1": []}]
        assert console.values("shared_t = nil") == [{"worker 0": []}, {"worker 1": []}]


def test_pushes_from_another_worker_come_before_the_answer(shared: Server) -> None:
    with on_worker(shared, 0) as console:
        console.values("\\set worker 1")
        said = console.say("return box.session.push('one'), box.session.push({2})")
        assert said == b"---\n- true\n- true\n...\n"
        head = b"%TAG !push! tag:tarantool.io/push,2018\n---"
        assert console.pushes == [head + b" one\n...\n", head + b"\n- 2\n...\n"]


def test_a_worker_that_is_not_there_is_an_error(shared: Server) -> None:
    with TextConsole(shared.console) as console:
        assert b"error" in console.say("\\set worker 7")
        assert console.values("1") == [1]


def test_the_worker_that_executes_may_die(start: Start) -> None:
    server = start(workers=2)
    with on_worker(server, 0) as console:
        console.values("\\set worker 1")
        (pid,) = console.values("box.info.pid")
        console.send(b"began = true require('fiber').sleep(60)\n")
        with on_worker(server, 1) as watcher:
            wait_until(lambda: watcher.values("began") == [True])
        os.kill(pid, signal.SIGKILL)
        assert console.answer() == b"---\n- error: 'worker 1: the worker has ended'\n...\n"
        assert console.values("\\set worker own") == [True]
        assert console.values("2") == [2]


def test_pieces_and_pipelined_statements(shared: Server) -> None:
    with TextConsole(shared.console) as console:
        for byte in b"1 + 1\n":
            console.send(bytes([byte]))
        assert console.answer() == b"---\n- 2\n...\n"
        console.send(b"".join(b"%d\n" % number for number in range(2000)))
        for number in range(2000):
            assert console.answer() == b"---\n- %d\n...\n" % number


def test_a_long_line_and_a_long_answer(shared: Server) -> None:
    with TextConsole(shared.console, deadline=30) as console:
        console.send(b"return #'" + b"x" * 3_000_000 + b"'\n")
        assert console.answer() == b"---\n- 3000000\n...\n"
        said = console.say("('x'):rep(20000000)")
        assert len(said) == len("---\n- \n...\n") + 20_000_000


def test_a_half_closed_client_gets_its_answers(shared: Server) -> None:
    with TextConsole(shared.console) as console:
        console.send(b"1\nrequire('fiber').sleep(0.05) return 2\n33")
        console.socket.shutdown(socket.SHUT_WR)
        assert [console.answer() for _ in range(3)] == [
            b"---\n- 1\n...\n",
            b"---\n- 2\n...\n",
            b"---\n- 3\n...\n",
        ]
        with pytest.raises(ClosedError):
            console.document()


def test_a_killed_workers_consoles_end_and_their_on_disconnect_runs(start: Start) -> None:
    app = """
    gone = {}
    box.session.on_disconnect(function()
      local s = box.session
      if s.type() == 'console' and s.reason() == 'worker_died' then
        gone[#gone + 1] = table.concat({s.id(), s.user(), s.peer()}, ' ')
      end
    end)
    """
    server = start(workers=2, app=app)
    with on_worker(server, 0) as watcher, on_worker(server, 1) as console:
        (number, pid) = console.values("box.session.id(), box.info.pid")
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(ClosedError):
            console.document()
        wait_until(lambda: watcher.values("gone") == [[f"{number} admin unix/:(socket)"]])


def test_stopping_lets_a_running_statement_answer(start: Start) -> None:
    server = start(workers=1)
    with TextConsole(server.console) as console, TextConsole(server.console) as idle:
        console.send(b"started = true require('fiber').sleep(0.3) return 'done'\n")
        wait_until(lambda: idle.values("started") == [True])
        server.send_signal()
        assert console.answer() == b"---\n- done\n...\n"
        with pytest.raises(ClosedError):
            idle.document()
    server.process.wait(10)
