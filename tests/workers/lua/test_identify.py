"""ID: what we announce, and what we remember of the client."""

from __future__ import annotations

import msgpack
import pytest

from tests.helpers.engine import Client, Engine, error_of
from tests.helpers.raw import ID, frame, pack

BAD = (20, "Invalid MsgPack - request body")
ANNOUNCED = {0x54: 6, 0x55: [0, 2, 3, 6], 0x5B: "chap-sha1"}
MAKE = "return box.error.new{code = 7, reason = 'x'}"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {0x54: 6, 0x55: [2]},
        {0x54: 10, 0x55: list(range(13)), 0x5B: "pap-sha256"},
        {0x55: []},
        {0x54: 2**63},
        {0x77: 1},
    ],
)
def test_the_answer(client: Client, body: dict[int, object]) -> None:
    for _ in range(2):
        assert client.request(ID, body).body == ANNOUNCED


@pytest.mark.parametrize(
    "body", [None, [], 5, {0x54: "6"}, {0x55: 5}, {0x55: ["a"]}, {0x55: [-1]}, {0x55: [None]}]
)
def test_bad_bodies(client: Client, body: object) -> None:
    assert error_of(client.request(ID, body)) == BAD
    (answer,) = client.exchange(frame(pack({0: ID, 1: 5}) + pack(body)))
    assert error_of(answer) == BAD


def test_error_objects_follow_the_client_that_asked(engine: Engine) -> None:
    with engine.connect() as plain, engine.connect() as knowing:
        knowing.request(ID, {0x54: 6, 0x55: [2]})
        for _ in range(3):
            assert plain.eval(MAKE).data == ["x"]
            (found,) = knowing.eval(MAKE).data
            assert isinstance(found, msgpack.ExtType)
            assert found.code == 3
        knowing.request(ID, {0x54: 6, 0x55: [0]})
        assert knowing.eval(MAKE).data == ["x"]


def test_a_new_session_on_the_same_descriptor_starts_without(engine: Engine) -> None:
    with engine.connect() as first:
        first.request(ID, {0x55: [2]})
        fd = first.fd
    with engine.connect() as second:
        assert second.fd == fd
        assert second.eval(MAKE).data == ["x"]
