"""Answers of requests that have waited, by each way to ask."""

from __future__ import annotations

import pytest

from tests.helpers.engine import Client, Engine, error_of
from tests.helpers.raw import CALL, CALL_16, request


@pytest.fixture(autouse=True)
def functions(engine: Engine) -> None:
    engine.execute(
        """
        wait = require('beespace.engine.fibers').suspend
        function late(...) wait(0) return ... end
        object = {late = function(_, ...) wait(0) return ... end}
        """
    )


@pytest.mark.parametrize("count", range(6))
@pytest.mark.parametrize("name", ["late", "object:late"])
def test_calls_with_any_number_of_arguments(client: Client, name: str, count: int) -> None:
    arguments = list(range(count))
    body = {0x22: name, 0x21: arguments}
    (answer,) = client.answers(request({0: CALL, 1: 3}, body), 1)

    assert (answer.sync, answer.data) == (3, arguments)


def test_the_old_call(client: Client) -> None:
    body = {0x22: "late", 0x21: [1, [2, 3]]}
    (answer,) = client.answers(request({0: CALL_16, 1: 3}, body), 1)

    assert answer.data == [[1], [2, 3]]


def test_a_body_in_an_unusual_form(client: Client) -> None:
    body = {0x21: [1, 2], 0x22: "late"}
    assert client.answers(request({0: CALL, 1: 3}, body), 1)[0].data == [1, 2]


def test_an_error_whose_text_cannot_be_made(client: Client) -> None:
    source = "wait(0) error(setmetatable({}, {__tostring = function() error('never') end}))"
    assert error_of(client.answers(request({0: 8, 1: 3}, {0x27: source}), 1)[0])[0] == 32
    assert client.in_step()


@pytest.mark.parametrize("wait", ["", "wait(0) "])
def test_the_text_of_an_error_cannot_wait(client: Client, wait: str) -> None:
    source = wait + "error(setmetatable({}, {__tostring = function() wait(0) return 'x' end}))"
    (answer,) = client.answers(request({0: 8, 1: 3}, {0x27: source}), 1)
    assert answer.code == 32
    assert client.in_step()


def test_errors_are_counted(engine: Engine, client: Client) -> None:
    before = engine.row.errors, engine.row.evals
    client.answers(request({0: 8, 1: 3}, {0x27: "wait(0) error('no')"}), 1)

    assert (engine.row.errors, engine.row.evals) == (before[0] + 1, before[1] + 1)
