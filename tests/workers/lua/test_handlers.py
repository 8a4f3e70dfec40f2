"""The rarer request types: streams, transactions, and what is refused."""

from __future__ import annotations

import pytest

from tests.helpers.engine import Client, error_of
from tests.helpers.raw import frame, pack

UNKNOWN = [11, 12, 13, 17, 30, 65, 67, 70, 76, 78, 99, 127, 128, 255, 300, 65536, 2**32 - 1]


NOP = 12


def ask(client: Client, header: dict[int, int], body: object = None) -> tuple[int, str]:
    data = pack({1: 5, **header}) + (pack(body) if body is not None else b"")
    (answer,) = client.exchange(frame(data))
    assert answer.sync == 5
    return error_of(answer)


@pytest.mark.parametrize("kind", UNKNOWN)
def test_unknown_types(client: Client, kind: int) -> None:
    assert ask(client, {0: kind}) == (48, f"Unknown request type {kind}")
    if kind != NOP:
        assert ask(client, {0: kind}, {1: 2}) == (48, f"Unknown request type {kind}")


def test_a_nop_has_no_body(client: Client) -> None:
    assert ask(client, {0: NOP}, {1: 2}) == (20, "Invalid MsgPack - packet body")


def test_a_type_beyond_32_bits(client: Client) -> None:
    assert ask(client, {0: 2**32 + 7}) == (48, "Unknown request type 7")
    assert ask(client, {0: 2**64 - 1})[0] == 48


@pytest.mark.parametrize(("kind", "name"), [(14, "BEGIN"), (15, "COMMIT"), (16, "ROLLBACK")])
def test_transactions(client: Client, kind: int, name: str) -> None:
    assert ask(client, {0: kind}) == (230, f"Unable to process {name} request out of stream")
    assert ask(client, {0: kind, 10: 1}) == (5, "beespace does not support transactions")


@pytest.mark.parametrize(("kind", "name"), [(7, "AUTH"), (73, "ID")])
def test_what_may_not_be_in_a_stream(client: Client, kind: int, name: str) -> None:
    body = {0x23: "guest", 0x21: []} if kind == 7 else {0x54: 1}
    assert ask(client, {0: kind, 10: 1}, body) == (
        229,
        f"Unable to process {name} request in stream",
    )
    assert ask(client, {0: kind, 10: 0}, body) == (0, "")
    assert ask(client, {0: kind}, body) == (0, "")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (64, None),
        (10, {0x22: "box.session.id"}),
        (6, {0x22: "box.session.id"}),
        (8, {0x27: "return 1"}),
        (1, {0x10: 281, 0x12: 1, 0x20: []}),
    ],
)
def test_what_may_be_in_a_stream(client: Client, kind: int, body: object) -> None:
    assert ask(client, {0: kind, 10: 7}, body) == (0, "")


@pytest.mark.parametrize("kind", [2, 3, 4, 5, 9])
def test_changes_are_refused(client: Client, kind: int) -> None:
    body = {0x10: 281, 0x20: [1], 0x21: [1], 0x28: []}
    assert ask(client, {0: kind}, body) == (113, "View '_vspace' is read-only")
    assert ask(client, {0: kind}, {**body, 0x10: 512}) == (36, "Space '512' does not exist")
    del body[0x10]
    assert ask(client, {0: kind}, body) == (69, "Missing mandatory field 'SPACE_ID' in request")


def test_a_user_error_code_is_the_type_of_the_answer(client: Client) -> None:
    answer = client.eval("box.error{code = 55555, reason = 'x'}")
    assert answer.type == 55555
    assert answer.text == "x"
    answer = client.eval("box.error(box.error.NO_SUCH_USER, 'bob')")
    assert error_of(answer) == (45, "User 'bob' is not found")
