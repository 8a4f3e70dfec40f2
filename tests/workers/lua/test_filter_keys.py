"""What filters may say, and what is wrong with those that are refused."""

from __future__ import annotations

import pytest

from tests.helpers.engine import Client, error_of

LIST = ", or a list of such"
ID = "the id of a session" + LIST
PEER = (
    "an address like '10.0.0.1', '10.0.0.1:4000' or '[::1]:4000', a network like '10.0.0.0/8' or "
    "'2001:db8::/32', or a text that begins with 'unix/:'"
) + LIST
COUNT = "a whole number from 0 on"
SECONDS = "a number of seconds from 0 on"
FIELDS = (
    "age, bytes_in, bytes_out, connected, id, idle, in_flight, inbox_bytes, listener, name, peer, "
    "pending_out, reason, requests, state, type, uid, user, worker"
)
KEYS = "age_gt, id, idle_gt, in_flight_gt, listener, name, peer, state, type, uid, user, worker"


@pytest.mark.parametrize(
    ("filter_", "text"),
    [
        ("5", "got 5, expected a table of filters"),
        ("'bob'", "got 'bob', expected a table of filters"),
        ("{id = 0}", f"id: got 0, expected {ID}"),
        ("{id = 1.5}", f"id: got 1.5, expected {ID}"),
        ("{id = '1'}", f"id: got '1', expected {ID}"),
        ("{id = 2^53}", f"id: got 9.007199254741e+15, expected {ID}"),
        ("{id = 0/0}", f"id: got nan, expected {ID}"),
        ("{id = {1, 'x'}}", f"id: got 'x', expected {ID}"),
        ("{id = {1, nil, 3}}", f"id: got a table, expected {ID}"),
        ("{id = {a = 1}}", f"id: got a table, expected {ID}"),
        ("{id = box.NULL}", f"id: got null, expected {ID}"),
        ("{not_id = true}", f"not_id: got true, expected {ID}"),
        ("{user = 5}", f"user: got 5, expected the name of a user{LIST}"),
        ("{user = box.NULL}", f"user: got null, expected the name of a user{LIST}"),
        ("{uid = -1}", f"uid: got -1, expected the number of a user{LIST}"),
        ("{uid = -1LL}", f"uid: got -1LL, expected the number of a user{LIST}"),
        ("{peer = 'localhost'}", f"peer: got 'localhost', expected {PEER}"),
        ("{not_peer = {'10.0.0.1/8'}}", f"not_peer: got '10.0.0.1/8', expected {PEER}"),
        ("{type = 'binry'}", f"type: got 'binry', expected 'binary' or 'console'{LIST}"),
        ("{type = 1}", f"type: got 1, expected 'binary' or 'console'{LIST}"),
        ("{state = 'free'}", f"state: got 'free', expected 'claimed' or 'closing' or 'live'{LIST}"),
        ("{worker = 'x'}", f"worker: got 'x', expected the number of a worker{LIST}"),
        ("{listener = 1}", f"listener: got 1, expected the URI of a listener or 'new'{LIST}"),
        ("{name = print}", f"name: got a function, expected the name of a session{LIST}"),
        ("{idle_gt = -1}", f"idle_gt: got -1, expected {SECONDS}"),
        ("{idle_gt = {1}}", f"idle_gt: got a table, expected {SECONDS}"),
        ("{not_age_gt = 0/0}", f"not_age_gt: got nan, expected {SECONDS}"),
        (
            "{in_flight_gt = 'x'}",
            "in_flight_gt: got 'x', expected a number of requests from 0 on",
        ),
        ("{limit = -1}", f"limit: got -1, expected {COUNT}"),
        ("{limit = {}}", f"limit: got a table, expected {COUNT}"),
        ("{after = 0.5}", f"after: got 0.5, expected {COUNT}"),
        (
            "{order = 'size'}",
            f"order: got 'size', expected one of {FIELDS}, or one with '-' in front",
        ),
        (
            "{order = {}}",
            f"order: got a table, expected one of {FIELDS}, or one with '-' in front",
        ),
        (
            "{after = 5, order = '-age'}",
            "after: got the order '-age', expected 'id' or '-id', in which there are pages",
        ),
        ("{name = ('x'):rep(99), id = 'y'}", f"id: got 'y', expected {ID}"),
        ("{peer = ('x'):rep(99)}", f"peer: got '{'x' * 60}...', expected {PEER}"),
    ],
)
def test_what_is_refused(client: Client, filter_: str, text: str) -> None:
    answer = client.eval(f"return box.session.list({filter_})")
    assert error_of(answer) == (1, f"box.session.list: {text}")
    assert answer.stack[0][0] == "IllegalParams"


@pytest.mark.parametrize(
    ("filter_", "key"),
    [
        ("{usr = 'x'}", "'usr'"),
        ("{5}", "1"),
        ("{not_ = 1}", "'not_'"),
        ("{[print] = 1}", "a function"),
        ("{not_not_id = 1}", "'not_not_id'"),
        ("{limit = 5}", "'limit'"),
        ("{order = 'id'}", "'order'"),
        ("{reason = 'idle'}", "'reason'"),
    ],
)
def test_keys_that_there_are_not(client: Client, filter_: str, key: str) -> None:
    text = f"unexpected key {key}, expected one of {KEYS}; filters also with not_ in front"
    answer = client.eval(f"return box.session.count({filter_})")
    assert error_of(answer) == (1, f"box.session.count: {text}")


@pytest.mark.parametrize("key", ["not_limit", "not_order", "not_after"])
def test_what_has_no_opposite(client: Client, key: str) -> None:
    code, text = error_of(client.eval("return box.session.list({[...] = 1})", key))
    assert (code, text[:45]) == (1, f"box.session.list: unexpected key '{key}', expected"[:45])


@pytest.mark.parametrize("nothing", ["", "nil", "box.NULL", "{}"])
def test_no_filter(client: Client, nothing: str) -> None:
    assert client.eval(f"return #box.session.list({nothing}) >= 1").data == [True]
