"""Triggers over several workers: set anywhere, in force everywhere."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator

import pytest

from tests.helpers.wait import wait_until
from tests.whole.conftest import Start
from tests.whole.crews import Crew, pids_of, visit


@pytest.fixture
def stack() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as made:
        yield made


COUNTER = """
local prefix, limits = 'n', {most = 3}
local function text(n) return prefix .. math.min(n, limits.most) end
local n = 0
box.session.on_connect(function()
  n = n + 1
  box.session.storage.mark = text(5) .. box.session.user() .. box.session.effective_user()
end, nil, 'mark')
"""


def test_set_in_one_session_it_is_active_in_all_workers(
    start: Start, stack: contextlib.ExitStack
) -> None:
    server = start(workers=2)
    crew = Crew(server, stack, 2)
    assert crew.names() == []
    crew[0].eval(COUNTER)
    assert crew.names() == ["mark"]
    marks = visit(server, "box.session.storage.mark", 2)
    assert marks == {0: "n3guestadmin", 1: "n3guestadmin"}

    crew[1].eval("box.session.on_connect(function() box.session.storage.other = 1 end)")
    crew[0].eval("box.session.on_connect(function() box.session.storage.mark = 2 end, nil, 'mark')")
    assert crew.names()[1:] == ["mark"]
    assert visit(server, "box.session.storage.mark", 2) == {0: 2, 1: 2}
    assert visit(server, "box.session.storage.other", 2) == {0: 1, 1: 1}
    crew[0].eval("box.session.on_connect(nil, box.session.on_connect()[1])")
    assert crew.names() == ["mark"]
    crew[1].eval("box.session.on_connect{name = 'mark'}")
    assert crew.names() == []
    assert visit(server, "box.session.storage.other", 2) == {0: None, 1: None}


def test_a_worker_that_starts_later_has_them(start: Start, stack: contextlib.ExitStack) -> None:
    app = "box.session.on_connect(function() box.session.storage.app = 1 end)"
    server = start(workers=2, app=app)
    with contextlib.ExitStack() as first:
        crew = Crew(server, first, 2)
        crew[0].eval(COUNTER)
        crew[0].eval("box.session.on_connect(function() box.session.storage.new = 1 end)")
        names = crew.names()
        assert names[1:] == ["mark", "app:box.session.on_connect:1"]
        pid = crew[0].eval("return box.info.pid").data[0]
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: pid not in pids_of(server), 20, "the end of the worker")
    crew = Crew(server, stack, 2)
    assert crew.names() == names
    both = "{box.session.storage.mark, box.session.storage.app, box.session.storage.new}"
    expected = ["n3guestadmin", 1, 1]
    assert visit(server, both, 2) == {0: expected, 1: expected}
    # and what the application has set can be taken away, for the next one as well
    crew[1].eval("require('trigger').del('box.session.on_connect', 'app:box.session.on_connect:1')")
    assert crew.names() == names[:-1]
    assert server.lines("other triggers") == []


def test_a_refused_function_changes_nothing_anywhere(
    start: Start, stack: contextlib.ExitStack
) -> None:
    crew = Crew(start(workers=2), stack, 2)
    crew[0].eval(COUNTER)
    source = "local co = coroutine.create(print) box.session.on_connect(function() return co end{})"
    text = "the function cannot be sent to the other workers: upvalue 'co' is a coroutine"
    for arguments in ("", ", nil, 'mark'", ", box.session.on_connect()[1]"):
        answer = crew[1].eval(source.format(arguments))
        assert (answer.code, answer.text) == (32, text)
        assert crew.names() == ["mark"]


def test_what_a_worker_lacks_is_logged(start: Start, stack: contextlib.ExitStack) -> None:
    server = start(workers=2)
    crew = Crew(server, stack, 2)
    crew[0].eval("rawset(_G, 'helper', function() end)")
    crew[0].eval("box.session.on_auth(function() helper() end, nil, 'needs')")
    pattern = r"trigger 'needs' of box\.session\.on_auth uses what worker 1 does not have: helper"
    wait_until(lambda: server.lines(pattern), what="the warning")
    crew.names("on_auth")
    assert len(server.lines("does not have")) == 1


def test_two_workers_setting_at_once_end_in_the_same_order(
    start: Start, stack: contextlib.ExitStack
) -> None:
    crew = Crew(start(workers=2), stack, 2)
    storm = """
        local me = ...
        for round = 1, 150 do
          local name = 't' .. math.random(6)
          if math.random() < 0.4 then
            box.session.on_access_denied(nil, nil, name)
          else
            box.session.on_access_denied(function() return me, round end, nil, name)
          end
          if round % 10 == 0 then require('fiber').sleep(0) end
        end"""
    threads = [
        threading.Thread(target=client.eval, args=(storm, number))
        for number, client in crew.clients.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    names = crew.names("on_access_denied")
    assert len(set(names)) == len(names)
    results = """
        local told = {}
        for index, each in ipairs(box.session.on_access_denied()) do told[index] = {each()} end
        return told"""
    assert len(crew.everywhere(results)[0]) == len(names)
