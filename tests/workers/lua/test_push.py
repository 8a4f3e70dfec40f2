"""box.session.push: chunks before the answer, at once and after a wait, and where it is refused."""

from __future__ import annotations

import pytest

from tests.helpers.engine import Client, Engine, error_of
from tests.helpers.raw import CALL_16, ping, request
from tests.helpers.requests import evaluation

CHUNK = 0x80


@pytest.fixture(autouse=True)
def functions(engine: Engine) -> None:
    engine.execute("wait = require('beespace.engine.fibers').suspend")


def test_the_bytes_of_a_chunk(client: Client) -> None:
    client.send(evaluation(1, "box.session.push(7) return 8"))
    head = "83 00 ce {} 01 cf 00 00 00 00 00 00 00 01 05 ce 00 00 00 01 81 30 dd 00 00 00 01 {}"
    chunk = "ce 00 00 00 1f " + head.format("00 00 00 80", "07")
    answer = "ce 00 00 00 1f " + head.format("00 00 00 00", "08")
    assert client.buffer.hex(" ") == f"{chunk} {answer}"


def test_chunks_come_in_order_before_their_answer(client: Client) -> None:
    source = """
        local how = ...
        for k = 1, 3 do
          assert(box.session.push({how, k}) == true)
          if how == 'late' and k == 2 then wait(0) end
        end
        return how"""
    found = client.answers(
        evaluation(1, source, "late") + ping(2) + evaluation(3, source, "now"), 9
    )
    of = {sync: [(each.type, each.data) for each in found if each.sync == sync] for sync in (1, 3)}

    for sync, how in ((1, "late"), (3, "now")):
        assert of[sync] == [*((CHUNK, [[how, k]]) for k in (1, 2, 3)), (0, [how])]


def test_chunks_before_an_error_stay_sent(client: Client) -> None:
    chunk, answer = client.exchange(evaluation(1, "box.session.push(1) error('no', 0)"))
    assert (chunk.type, chunk.data, error_of(answer)) == (CHUNK, [1], (32, "no"))


def test_the_old_call_does_not_change_a_chunk(engine: Engine, client: Client) -> None:
    engine.execute("function pushes() box.session.push({1}) box.session.push(nil) return 2 end")
    found = client.exchange(request({0: CALL_16, 1: 4}, {0x22: "pushes", 0x21: []}))
    assert [each.data for each in found] == [[[1]], [None], [[2]]]


def test_more_chunks_than_the_shared_output_holds(client: Client) -> None:
    source = "for k = 1, 40 do box.session.push({k, ('x'):rep(50000)}) end return 'end'"
    found = client.exchange(evaluation(1, source) + ping(2))

    assert [each.data[0][0] for each in found[:40]] == list(range(1, 41))
    assert found[40].data == ["end"]
    assert found[41].sync == 2


@pytest.mark.parametrize(("arguments", "count"), [("", 0), ("1, 2", 2), ("nil, nil", 2)])
def test_exactly_one_value(client: Client, arguments: str, count: int) -> None:
    answer = client.eval(f"box.session.push({arguments})")
    assert error_of(answer) == (32, "Usage: box.session.push(data)")


@pytest.mark.parametrize("wait", ["", "wait(0) "])
def test_what_cannot_be_encoded_is_not_sent(client: Client, wait: str) -> None:
    source = wait + "local ok, err = box.session.push({1, print}) return ok, err.code, err.message"
    (answer,) = client.answers(evaluation(1, source), 1)
    assert answer.data == [None, 32, "unsupported Lua type 'function'"]


def test_background_code_has_nobody_to_push_to(client: Client) -> None:
    source = """
        local seen
        require('beespace.engine.fibers').create(function()
          local ok, err = box.session.push(1)
          seen = {ok == nil, err.code, err.message}
        end)
        return seen"""
    expected = [True, 5, "Session 'background' does not support push()"]
    assert client.eval(source).data == [expected]


def test_a_client_that_has_left(engine: Engine) -> None:
    client = engine.connect()
    client.send(
        evaluation(
            1,
            "gate = require('fiber').cond() gate:wait() "
            "local ok, err = box.session.push(1) seen = {ok, err.code}",
        )
    )
    client.close()
    engine.execute("gate:broadcast()")
    engine.run_until(lambda: not client.exists)
    assert engine.execute("return seen[1], seen[2]") == (None, 86)


def test_a_value_is_not_pushed_into_another_one(client: Client) -> None:
    source = "return setmetatable({}, {__serialize = function() box.session.push(1) return 1 end})"
    assert error_of(client.eval(source)) == (
        32,
        "a value cannot be pushed while another one is written",
    )
    assert client.in_step()
