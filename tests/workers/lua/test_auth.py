"""AUTH as far as guest goes."""

from __future__ import annotations

import pytest

from tests.helpers.engine import SALT, Client, error_of
from tests.helpers.raw import AUTH, frame, pack, scramble

PROOF = scramble(SALT, "")
MISMATCH = (47, "User not found or supplied credentials are invalid")
BAD_BODY = (20, "Invalid MsgPack - authentication request body")


@pytest.mark.parametrize(
    ("user", "data", "expected"),
    [
        ("guest", [], (0, "")),
        ("guest", ["chap-sha1", PROOF], (0, "")),
        ("guest", ["chap-sha1", PROOF, "more"], (0, "")),
        ("guest", ["chap-sha1", bytes(20)], MISMATCH),
        ("guest", ["chap-sha1"], BAD_BODY),
        ("bob", [], BAD_BODY),
        ("bob", ["chap-sha1"], BAD_BODY),
        ("bob", ["chap-sha1", PROOF], MISMATCH),
        ("admin", ["chap-sha1", PROOF], MISMATCH),
        ("", ["chap-sha1", PROOF], MISMATCH),
        ("Guest", ["chap-sha1", PROOF], MISMATCH),
        ("guest", [5, PROOF], BAD_BODY),
        ("guest", [None, PROOF], BAD_BODY),
        ("guest", ["md5", PROOF], (249, "Unknown authentication method 'md5'")),
        (
            "guest",
            ["chap-sha1", 5],
            (251, "Invalid 'chap-sha1' request: scramble must be string"),
        ),
        ("bob", ["chap-sha1", b"x"], (251, "Invalid 'chap-sha1' request: invalid scramble size")),
        ("guest", ["chap-sha1", ""], (251, "Invalid 'chap-sha1' request: invalid scramble size")),
    ],
)
def test_answers(client: Client, user: str, data: list[object], expected: tuple[int, str]) -> None:
    answer = client.request(AUTH, {0x23: user, 0x21: data})

    assert error_of(answer) == expected
    if expected == (0, ""):
        assert answer.body == {}
    assert client.in_step()


def test_the_proof_may_be_text_or_bytes(client: Client) -> None:
    as_text = b"\xb4" + PROOF
    payload = pack({0: AUTH, 1: 5}) + b"\x82\x23" + pack("guest") + b"\x21\x92"
    (answer,) = client.exchange(frame(payload + pack("chap-sha1") + as_text))
    assert answer.code == 0
    assert client.request(AUTH, {0x23: "guest", 0x21: ["chap-sha1", PROOF]}).code == 0


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({0x21: []}, (69, "Missing mandatory field 'USER_NAME' in request")),
        ({0x23: "guest"}, (69, "Missing mandatory field 'TUPLE' in request")),
        ({0x23: "guest", 0x21: {}}, (20, "Invalid MsgPack - packet body")),
        ({0x23: 5, 0x21: []}, (20, "Invalid MsgPack - packet body")),
        ([], (20, "Invalid MsgPack - packet body")),
        (None, (20, "Invalid MsgPack - missing request body")),
    ],
)
def test_bodies(client: Client, body: object, expected: tuple[int, str]) -> None:
    assert error_of(client.request(AUTH, body)) == expected


def test_failures_are_neither_counted_nor_remembered(client: Client) -> None:
    for _ in range(50):
        assert client.request(AUTH, {0x23: "x", 0x21: ["chap-sha1", PROOF]}).code == 47
    assert client.request(AUTH, {0x23: "guest", 0x21: ["chap-sha1", PROOF]}).code == 0
    assert client.call("box.session.id").data == [client.id]
