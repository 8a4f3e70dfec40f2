"""AUTH that depends on the greeting's salt, which a corpus cannot hold."""

from __future__ import annotations

import pytest

from tests.helpers.raw import AUTH, Raw, pack, request, scramble
from tests.helpers.server import Server
from tests.wire.cases import check

WRONG = "User not found or supplied credentials are invalid"


def test_scramble_of_the_reference_vector() -> None:
    salt = bytes(range(32))
    assert scramble(salt, "secret").hex() == "21b3ff405f32cbe4aafff291396046ea29fa3a4d"
    assert scramble(salt, "").hex() == "767be93ed197083818f15db91fd7d52407ad353e"


@pytest.mark.parametrize("form", ["bin", "str"])
def test_guest_with_the_empty_password(wire_server: Server, form: str) -> None:
    with Raw(wire_server.address) as client:
        proof = scramble(client.salt, "")
        packed = pack(proof) if form == "bin" else b"\xb4" + proof
        body = b"\x82\x23" + pack("guest") + b"\x21\x92" + pack("chap-sha1") + packed
        plain = request({0: AUTH, 1: 1})[5:] + body
        client.send(b"\xce" + len(plain).to_bytes(4, "big") + plain)
        check(client.packet(), {"code": 0, "sync": 1, "body": "80"})


def test_the_salt_stays_valid(wire_server: Server) -> None:
    with Raw(wire_server.address) as client:
        for password, code in [("", 0), ("wrong", 47), ("", 0), ("", 0)]:
            assert client.auth("guest", password).code == code


def test_the_salt_of_another_connection_is_refused(wire_server: Server) -> None:
    with Raw(wire_server.address) as one, Raw(wire_server.address) as two:
        answer = one.request(AUTH, {0x23: "guest", 0x21: ["chap-sha1", scramble(two.salt, "")]})
        assert (answer.code, answer.text) == (47, WRONG)


def test_a_hundred_failures_do_no_harm(wire_server: Server) -> None:
    with Raw(wire_server.address) as client:
        for user in ["admin", "nosuch"] * 50:
            answer = client.auth(user, "wrong")
            assert (answer.code, answer.text) == (47, WRONG)
        client.ping()


def test_other_users_get_the_same_answer_with_the_empty_password(wire_server: Server) -> None:
    with Raw(wire_server.address) as client:
        for user in ["admin", "nosuch", "super"]:
            answer = client.auth(user, "")
            assert (answer.code, answer.text) == (47, WRONG)
