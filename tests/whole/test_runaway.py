"""Code that takes too much time or memory: an error for its client, nothing for the others."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.raw import EVAL, ClosedError, Raw, request
from tests.helpers.server import Server, running
from tests.helpers.wait import wait_until
from tests.whole.conftest import await_gone

LIMIT = 0.2
TEXT = "request took longer than limits.request_time (0.2 s)"
APP = """
function hang_in_c()
  return (('a'):rep(40000)):find(('.-'):rep(4) .. 'b')
end
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One worker, so that a stuck request would be in everybody's way."""
    folder = tmp_path_factory.mktemp("runaway")
    settings = {"limits": {"request_time": LIMIT}, "lua": {"memory": 64 << 20}}
    with running(folder, app=APP, workers=1, settings=settings) as made:
        yield made


def test_the_request_is_answered_and_the_worker_lives(server: Server) -> None:
    with Raw(server.address) as client, Raw(server.address) as other:
        pid = other.eval("return box.info.pid").data
        answer = client.eval("while true do pcall(error, 'no') end")
        assert (answer.code, answer.text) == (32, f"eval:1: {TEXT}")
        client.ping()
        assert other.eval("return box.info.pid").data == pid
        line = f"code runs too long.* peer={client.name} request=eval while true do pcall"
        assert wait_until(lambda: server.lines(line), what="a line of the log")


ENDLESS = "{__tostring = function() while true do local s = tostring({}) end end}"


@pytest.mark.parametrize(
    "source",
    [
        f"error(setmetatable({{}}, {ENDLESS}))",
        f"coroutine.wrap(function() error(setmetatable({{}}, {ENDLESS})) end)()",
        f"require('fiber').sleep(0) error(setmetatable({{}}, {ENDLESS}))",
        f"box.workers.eval([[error(setmetatable({{}}, {ENDLESS}))]])",
    ],
)
def test_the_text_of_an_error_may_not_take_for_ever(server: Server, source: str) -> None:
    with Raw(server.address) as client, Raw(server.address) as other:
        pid = other.eval("return box.info.pid").data
        assert client.eval(source).code == 32
        client.ping()
        assert other.eval("return box.info.pid").data == pid


def test_a_function_that_does_not_return_ends_the_worker(server: Server) -> None:
    with Raw(server.address) as client:
        pid = client.eval("return box.info.pid").data[0]
        with contextlib.suppress(ClosedError):
            client.call("hang_in_c")
        line = f"this worker ends.* peer={client.name} request=call hang_in_c"
        assert wait_until(lambda: server.lines(line), what="a line of the log")

    def another() -> bool:
        with contextlib.suppress(ClosedError, TimeoutError), Raw(server.address) as client:
            return bool(client.eval("return box.info.pid").data[0] != pid)
        return False

    assert wait_until(another, 20, "another worker")


def test_a_request_that_takes_too_much_memory(server: Server) -> None:
    with Raw(server.address) as client, Raw(server.address) as other:
        pid = other.eval("return box.info.pid").data
        other.eval("box.session.storage.mine = ('x'):rep(1000)")
        text = "not enough memory: lua.memory is 67108864 bytes"
        source = "local t = {} while true do t[#t + 1] = ('x'):rep(1000000) .. #t end"
        answer = client.eval(source)
        assert (answer.code, answer.text) == (32, f"eval:1: {text}")
        client.ping()
        assert other.eval("return #box.session.storage.mine").data == [1000]
        assert other.eval("return box.info.pid").data == pid
        line = f"code takes too much memory.* peer={client.name} request=eval local t"
        assert wait_until(lambda: server.lines(line), what="a line of the log")


def test_a_client_that_leaves_what_it_is_sent_unread(tmp_path: Path) -> None:
    settings = {"session": {"output_limit": 1 << 20}}
    source = "for i = 1, 1000 do box.session.push(('x'):rep(100000)) end"
    with (
        running(tmp_path, workers=1, settings=settings) as server,
        Raw(server.address, receive=16384) as deaf,
        Raw(server.address) as other,
    ):
        number = deaf.eval("return box.session.id()").data[0]
        deaf.send(request({0: EVAL, 1: 9}, {0x27: source}))
        line = f"/{number} W> closed: [0-9]+ bytes wait for {deaf.name}, session.output_limit is"
        assert wait_until(lambda: server.lines(line), what="a line of the log")
        await_gone(other, number)
        with pytest.raises(ClosedError):
            for _ in range(1000):
                deaf.packet()


def test_without_a_limit_code_runs_on(tmp_path: Path) -> None:
    settings = {"limits": {"request_time": 0}}
    source = (
        "local ends = os.clock() + 0.5 while os.clock() < ends do pcall(error) end return 'end'"
    )
    with (
        running(tmp_path, workers=1, settings=settings) as server,
        Raw(server.address) as client,
    ):
        assert client.eval(source).data == ["end"]
