"""Whose session it is and whose rights apply: by `as`, across waits, and when the user changes."""

from __future__ import annotations

import pytest

from tests.helpers.engine import Client, Engine, error_of
from tests.helpers.requests import evaluation

OTHER, THIRD = 32, 33


@pytest.fixture(autouse=True)
def functions(engine: Engine) -> None:
    engine.execute(
        """
        local user = require('beespace.engine.user')
        local cur = require('beespace.engine.state').cur
        become = require('beespace.engine.logins').become
        wait = require('beespace.engine.fibers').suspend
        function as(uid, f, ...) return user.as(uid, f, ...) end
        local change = require('beespace.engine.catalog').change
        for _, name in ipairs({'other', 'third'}) do
          change('create_principal', 1, 'user', name, nil, true)
          change('grant_role', 1, 'user', name, 'super', true)
        end
        function who() return cur.uid, cur.euid, cur.su end
        """
    )


def test_a_session_begins_as_guest(client: Client) -> None:
    assert client.eval("return who()").data == [0, 0, 0]


def test_another_user_for_a_while(client: Client) -> None:
    source = "local inside = {as(32, function(...) return who(), ... end, 7)} return inside, who()"

    assert client.eval(source).data == [[0, 7], 0, 0, 0]
    assert client.eval("return as(32, who)").data == [0, OTHER, 1]
    assert client.eval("return as(32, as, 33, who)").data == [0, THIRD, 2]


def test_an_error_ends_it_and_is_raised_unchanged(client: Client) -> None:
    source = """
        local mark = {}
        local ok, raised = pcall(as, 32, error, mark)
        return ok, raised == mark, who()"""

    assert client.eval(source).data == [False, True, 0, 0, 0]
    assert error_of(client.eval("as(32, error, 'inside', 0)")) == (32, "inside")


def test_it_lasts_over_a_wait_and_is_nobody_elses(client: Client) -> None:
    slow = "return as(32, function() wait(0) return who() end)"
    late, early = sorted(
        client.answers(evaluation(1, slow) + evaluation(2, "return who()"), 2),
        key=lambda answer: answer.sync,
    )

    assert late.data == [0, OTHER, 1]
    assert early.data == [0, 0, 0]


def test_a_new_user_is_the_next_requests(client: Client) -> None:
    assert client.eval("become(32) return who()").data == [OTHER, OTHER, 0]
    assert client.eval("return who()").data == [OTHER, OTHER, 0]
    assert client.slot.uid == OTHER


def test_a_request_that_waits_goes_on_as_the_new_user(client: Client) -> None:
    waiting = "wait(0) return who()"
    inside = "local list = {as(33, function() wait(0) return who() end)} return list, who()"
    answers = client.answers(
        evaluation(1, waiting) + evaluation(2, inside) + evaluation(3, "become(32)"), 3
    )
    by_sync = {answer.sync: answer.data for answer in answers}

    assert by_sync[1] == [OTHER, OTHER, 0]
    assert by_sync[2] == [[OTHER, THIRD, 1], OTHER, OTHER, 0]


def test_a_fiber_has_the_rights_of_its_creator_and_no_session(client: Client) -> None:
    source = """
        local found
        as(32, function() require('fiber').create(function() found = {who()} end) end)
        return found, who()"""

    assert client.eval(source).data == [[OTHER, OTHER, 0], 0, 0, 0]


def test_nobodys_code_has_all_rights(engine: Engine) -> None:
    assert tuple(engine.execute("return who()")) == (1, 1, 0)
