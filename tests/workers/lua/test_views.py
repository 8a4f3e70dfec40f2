"""SELECT on the system views: empty answers, and the order of the checks."""

from __future__ import annotations

import pytest

from tests.helpers.engine import Client, error_of
from tests.helpers.raw import SELECT

VIEWS = {277: ("_vcollation", "_collation"), 281: ("_vspace", "_space"), 289: ("_vindex", "_index")}
NO_SUPPORT = "does not support requested iterator type"
MISMATCH = "does not match index part type: expected"
FULL = {0x10: 281, 0x12: 10, 0x20: []}


@pytest.mark.parametrize("space", VIEWS)
@pytest.mark.parametrize("iterator", [None, 0, 1, 2, 3, 4, 5, 6])
def test_the_views_are_empty(client: Client, space: int, iterator: int | None) -> None:
    body = {**FULL, 0x10: space, **({} if iterator is None else {0x14: iterator})}
    answer = client.request(SELECT, body)

    assert answer.body_bytes == bytes.fromhex("8130dd00000000")


@pytest.mark.parametrize(("missing", "name"), [(0x10, "SPACE_ID"), (0x12, "LIMIT"), (0x20, "KEY")])
def test_missing_fields(client: Client, missing: int, name: str) -> None:
    body = {key: value for key, value in FULL.items() if key != missing}
    text = f"Missing mandatory field '{name}' in request"
    assert error_of(client.request(SELECT, body)) == (69, text)


@pytest.mark.parametrize("space", [0, 1, 280, 282, 512, 2**31, 2**32])
def test_other_spaces(client: Client, space: int) -> None:
    body = {**FULL, 0x10: space}
    assert error_of(client.request(SELECT, body)) == (36, f"Space '{space}' does not exist")


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        ({0x14: 7}, 112, f"of space '_space' (memtx) {NO_SUPPORT}"),
        ({0x14: 12}, 1, "Invalid iterator type"),
        ({0x14: 2**63}, 1, "Invalid iterator type"),
        ({0x11: 3}, 35, "No index #3 is defined in space '_vspace'"),
        ({0x20: [1, 2]}, 31, "Invalid key part count (expected [0..1], got 2)"),
        ({0x20: ["x"]}, 18, f"of part 0 {MISMATCH} unsigned"),
        ({0x20: [-1]}, 18, f"of part 0 {MISMATCH} unsigned"),
        ({0x11: 2, 0x20: [5]}, 18, f"of part 0 {MISMATCH} string"),
        ({0x10: 289, 0x11: 2, 0x20: [5, 6]}, 18, f"of part 1 {MISMATCH} string"),
    ],
)
def test_checks(client: Client, change: dict[int, object], code: int, text: str) -> None:
    answer = client.request(SELECT, {**FULL, **change})

    assert answer.code == code
    assert answer.text.endswith(text)


@pytest.mark.parametrize(
    "change",
    [{0x11: 2, 0x20: ["name"]}, {0x20: [2**63]}, {0x10: 289, 0x20: [1, 2]}, {0x77: 1}, {0x13: 5}],
)
def test_what_is_accepted(client: Client, change: dict[int, object]) -> None:
    assert client.request(SELECT, {**FULL, **change}).data == []


def test_the_order_of_the_checks(client: Client) -> None:
    wrong = {0x10: 5, 0x12: 1, 0x20: [1, 2, 3], 0x14: 99, 0x11: 99}
    codes = [client.request(SELECT, wrong).code]
    for key, value in ((0x14, 7), (0x10, 281), (0x14, 0), (0x11, 0), (0x20, [])):
        wrong[key] = value
        codes.append(client.request(SELECT, wrong).code)

    assert codes == [1, 36, 112, 35, 31, 0]
